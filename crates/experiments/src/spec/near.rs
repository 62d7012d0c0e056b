//! The names nearest to one that is not known.

/// The most suggestions in one line.
const MOST: usize = 4;

/// Up to four of `known` that look like `name`, the nearest first.
pub fn near_names<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = name.to_lowercase();
    let tail = wanted.rsplit('.').next().unwrap_or_default().to_owned();
    let mut scored: Vec<(usize, &str)> = known
        .into_iter()
        .filter_map(|candidate| {
            let lower = candidate.to_lowercase();
            let last = lower.rsplit('.').next().unwrap_or_default();
            let whole = strsim::damerau_levenshtein(&wanted, &lower);
            // A key is often remembered without the section it stands in.
            let part = strsim::damerau_levenshtein(&tail, last) + 1;
            let within =
                tail.len() >= 3 && (last.contains(&tail) || (last.len() >= 3 && tail.contains(last)));
            let distance = if within { whole.min(part).min(2) } else { whole.min(part) };
            (distance <= 1 + wanted.len() / 3).then_some((distance, candidate))
        })
        .collect();
    scored.sort_by_key(|(distance, candidate)| (*distance, candidate.len()));
    scored.into_iter().take(MOST).map(|(_, candidate)| candidate).collect()
}

/// ` (near: a, b)`, or ` (known: …)` when nothing is near and the list is short, or nothing.
pub fn hint<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    const SHORT: usize = 12;
    let near = near_names(name, known.clone());
    if !near.is_empty() {
        return format!(" (near: {})", near.join(", "));
    }
    let all: Vec<&str> = known.into_iter().collect();
    if all.len() <= SHORT && !all.is_empty() {
        format!(" (known: {})", all.join(", "))
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised() {
        let known = ["steps", "batch", "input.header", "input.columns", "learning_rate"];
        assert_eq!(near_names("step", known)[0], "steps");
        assert_eq!(near_names("Bacth", known)[0], "batch");
        assert_eq!(near_names("header", known)[0], "input.header");
        assert_eq!(near_names("lerning_rate", known)[0], "learning_rate");
        assert!(near_names("zzzzzz", known).is_empty());
        assert_eq!(hint("q", ["a_long_name"]), " (known: a_long_name)");
    }
}
