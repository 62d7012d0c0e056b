//! The header of a .npy file: a Python dictionary of three known keys. It is parsed, never evaluated.

use super::error::printable;

/// The three fields of the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) descr: String,
    pub(crate) fortran_order: bool,
    pub(crate) shape: Vec<u64>,
}

/// No array has more axes in numpy.
const MOST_AXES: usize = 64;

impl Fields {
    /// Parses `{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }`, the keys in any order.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut rest = Cursor(text.trim_matches([' ', '\n', '\t', '\0']));
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        rest.expect('{')?;
        while !rest.eat('}') {
            let key = rest.string()?;
            rest.expect(':')?;
            match key {
                "descr" => descr = Some(rest.descr()?),
                "fortran_order" => fortran_order = Some(rest.boolean()?),
                "shape" => shape = Some(rest.tuple()?),
                other => return Err(format!("has an unknown key '{}'", printable(other))),
            }
            if !rest.eat(',') {
                rest.expect('}')?;
                break;
            }
        }
        if !rest.0.trim().is_empty() {
            return Err(format!("has text after its end: '{}'", printable(rest.0.trim())));
        }
        Ok(Fields {
            descr: descr.ok_or("has no 'descr'")?,
            fortran_order: fortran_order.ok_or("has no 'fortran_order'")?,
            shape: shape.ok_or("has no 'shape'")?,
        })
    }
}

/// What is still to be read.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn eat(&mut self, c: char) -> bool {
        let rest = self.0.trim_start();
        let found = rest.strip_prefix(c);
        self.0 = found.unwrap_or(rest);
        found.is_some()
    }

    fn expect(&mut self, c: char) -> Result<(), String> {
        if self.eat(c) { Ok(()) } else { Err(format!("has no '{c}' before '{}'", printable(self.0))) }
    }

    fn string(&mut self) -> Result<&'a str, String> {
        let quote = if self.eat('\'') {
            '\''
        } else {
            self.expect('"')?;
            '"'
        };
        let (text, rest) = self.0.split_once(quote).ok_or("has a string without an end")?;
        self.0 = rest;
        Ok(text)
    }

    /// The type: a string, or the list of fields of a structured array, which is given back as it stands.
    fn descr(&mut self) -> Result<String, String> {
        if self.0.trim_start().starts_with('[') {
            let end = self.0.rfind(']').ok_or("has a list without an end")?;
            let list = self.0[..=end].trim().to_owned();
            self.0 = &self.0[end + 1..];
            return Ok(list);
        }
        self.string().map(str::to_owned)
    }

    fn word(&mut self) -> &'a str {
        let rest = self.0.trim_start();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        self.0 = &rest[end..];
        &rest[..end]
    }

    fn boolean(&mut self) -> Result<bool, String> {
        match self.word() {
            "True" => Ok(true),
            "False" => Ok(false),
            other => Err(format!("has '{}' where True or False is needed", printable(other))),
        }
    }

    fn tuple(&mut self) -> Result<Vec<u64>, String> {
        self.expect('(')?;
        let mut sizes = Vec::new();
        while !self.eat(')') {
            // Python 2 wrote long integers with an L.
            let word = self.word();
            let digits = word.strip_suffix('L').unwrap_or(word);
            let size = digits.parse().map_err(|_| {
                let found = if word.is_empty() { self.0 } else { word };
                format!("has the size '{}' where a whole number is needed", printable(found))
            })?;
            sizes.push(size);
            if sizes.len() > MOST_AXES {
                return Err(format!("has more than {MOST_AXES} axes"));
            }
            if !self.eat(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(sizes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_every_writer_are_read() {
        let fields = |t: &str| Fields::parse(t).unwrap();
        let plain = fields("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }          \n");
        assert_eq!(plain, Fields { descr: "<f8".into(), fortran_order: false, shape: vec![3, 2] });
        assert_eq!(fields("{\"shape\":(5,),\"descr\":\"|u1\",\"fortran_order\":True}").shape, [5]);
        assert_eq!(fields("{'descr': '>i4', 'fortran_order': False, 'shape': (3L, 2L)}").shape, [3, 2]);
        assert_eq!(fields("{'descr': '<f4', 'fortran_order': False, 'shape': ()}").shape, Vec::<u64>::new());
        let list = "[('x', '<f8'), ('y', '<f8')]";
        assert_eq!(
            fields(&format!("{{'descr': {list}, 'fortran_order': False, 'shape': (3,)}}")).descr,
            list
        );
    }

    #[test]
    fn broken_headers_say_what_is_missing() {
        let error = |t: &str| Fields::parse(t).unwrap_err();
        assert_eq!(error("{'descr': '<f8', 'shape': (1,)}"), "has no 'fortran_order'");
        assert!(error("{'descr': '<f8', 'fortran_order': 0, 'shape': (1,)}").contains("True or False"));
        assert!(error("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}").contains("whole number"));
        assert!(error("{'descr': __import__('os'), 'shape': (1,)}").contains("has no '\"'"));
        assert!(error("{'a': 1}").contains("unknown key 'a'"));
        assert!(error("{'descr': '<f8").contains("without an end"));
        assert!(error("").contains("has no '{'"));
        let many = format!("{{'shape': ({})}}", "1,".repeat(65));
        assert!(error(&many).contains("axes"));
    }
}
