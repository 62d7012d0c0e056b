use super::*;
use serde::Deserialize;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// The number of steps.
    #[schemars(range(min = 1))]
    steps: usize,
    /// The step size.
    rate: f64,
    /// What is minimised.
    objective: Objective,
    /// Widths of the layers.
    hidden: Vec<usize>,
    /// A file, if any.
    data: Option<PathBuf>,
    /// How to read it.
    input: crate::data::Options,
    /// The noise.
    noise: Noise,
    /// Whether to draw.
    draw: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Objective {
    /// The mean formulation.
    D2,
    /// The kernel one.
    Mmd,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Noise {
    /// Gaussian noise.
    Gaussian {
        /// Its scale.
        scale: f64,
    },
    /// None.
    Off {},
}

impl Default for Config {
    fn default() -> Self {
        Config {
            steps: 100,
            rate: 0.5,
            objective: Objective::D2,
            hidden: vec![64, 64],
            data: None,
            input: crate::data::Options::default(),
            noise: Noise::Gaussian { scale: 1.0 },
            draw: true,
        }
    }
}

fn with(sets: &[&str]) -> Result<Config, Error> {
    resolve(None, &sets.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>())
}

#[test]
fn text_becomes_what_the_key_needs() {
    let config = with(&[
        "steps=1e3",
        "rate=2",
        "objective=mmd",
        "hidden=8,16,",
        "data=a b.npy",
        "input.header=yes",
        "input.columns=x,y",
        "input.delimiter=;",
        "noise.scale=0.25",
        "draw=false",
    ])
    .unwrap();
    assert_eq!((config.steps, config.rate, config.objective), (1000, 2.0, Objective::Mmd));
    assert_eq!(config.hidden, [8, 16]);
    assert_eq!(config.data, Some(PathBuf::from("a b.npy")));
    assert_eq!((config.input.header, config.input.delimiter), (crate::data::Header::Yes, Some(';')));
    assert_eq!(config.input.columns, ["x", "y"]);
    assert_eq!(config.noise, Noise::Gaussian { scale: 0.25 });
    assert!(!config.draw);
    assert_eq!(with(&["hidden=[3]"]).unwrap().hidden, [3]);
    assert_eq!(with(&["data=x", "data=null"]).unwrap().data, None);
    assert_eq!(with(&[]).unwrap(), Config::default());
    assert_eq!(with(&["noise.kind=off"]).unwrap().noise, Noise::Off {});
    assert_eq!(with(&["noise=off"]).unwrap().noise, Noise::Off {});
    assert_eq!(with(&["noise.kind=gaussian"]).unwrap().noise, Noise::Gaussian { scale: 1.0 });
    assert_eq!(with(&["noise={\"kind\": \"off\"}"]).unwrap().noise, Noise::Off {});
}

#[test]
fn slips_name_the_key_and_what_it_needs() {
    let error = |set: &str| with(&[set]).unwrap_err().to_string();
    assert_eq!(error("steps=many"), "--set: steps = 'many': needs a whole number, at least 1");
    assert_eq!(error("steps=0"), "--set: steps = 0: needs a whole number, at least 1");
    assert_eq!(error("steps=1.5"), "--set: steps = '1.5': needs a whole number, at least 1");
    assert_eq!(error("rate=nan"), "--set: rate = 'nan': needs a number");
    assert_eq!(error("objective=mdm"), "--set: objective = 'mdm': needs one of d2, mmd");
    assert_eq!(error("draw=1"), "--set: draw = '1': needs true or false");
    assert_eq!(error("hidden=8,x"), "--set: hidden = '8,x': needs a list (a whole number, at least 0 each)");
    assert!(error("step=3").starts_with("--set: unknown key 'step' (near: steps"), "{}", error("step=3"));
    assert!(error("header=yes").contains("near: input.header"), "{}", error("header=yes"));
    assert!(error("input.heder=yes").contains("near: input.header"));
    assert_eq!(error("noise.kind=of"), "--set: noise.kind = 'of': needs one of gaussian, off");
    assert_eq!(error("steps"), "--set steps: needs the form key=value");
    assert!(error("steps.x=1").contains("unknown key 'steps.x'"));
    assert!(error("input=3").contains("input = 3: needs a section of keys"), "{}", error("input=3"));
}

#[test]
fn files_are_laid_over_the_defaults_and_under_the_arguments() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.json");
    let write = |text: &str| std::fs::write(&path, text).unwrap();
    write(r#"{"steps": 7, "input": {"header": "no"}, "noise": {"kind": "off"}}"#);
    let config: Config = resolve(Some(&path), &["rate=1".into(), "steps=8".into()]).unwrap();
    assert_eq!((config.steps, config.rate, config.input.header), (8, 1.0, crate::data::Header::No));
    assert_eq!(config.noise, Noise::Off {});
    write(r#"{"noise": {"scale": 3}}"#);
    assert_eq!(resolve::<Config>(Some(&path), &[]).unwrap().noise, Noise::Gaussian { scale: 3.0 });
    let error = |text: &str| {
        write(text);
        resolve::<Config>(Some(&path), &[])
            .unwrap_err()
            .to_string()
            .replace(&path.display().to_string(), "FILE")
    };
    assert_eq!(error(r#"{"steps": "7"}"#), "FILE: steps = '7': needs a whole number, at least 1");
    assert!(error(r#"{"stesp": 7}"#).starts_with("FILE: unknown key 'stesp' (near: steps"));
    assert_eq!(error(r#"{"hidden": [1, -1]}"#), "FILE: hidden[1] = -1: needs a whole number, at least 0");
    assert!(error("[1]").starts_with("FILE: is not a JSON object"));
    assert!(error("{").contains("line 1"));
    std::fs::remove_file(&path).unwrap();
    let missing = resolve::<Config>(Some(&path), &[]).unwrap_err().to_string();
    assert!(missing.ends_with("cannot be read: there is no such file"), "{missing}");
}

#[test]
fn every_key_is_described_with_its_default() {
    let schema = schema_of::<Config>();
    insta::assert_snapshot!(describe(&keys(&schema, &default_of::<Config>())));
}

#[test]
fn a_configuration_is_told_by_what_differs() {
    let wanted = ["steps=8", "hidden=[1,2]", "data=a.npy", "input.header=no", "noise={\"kind\":\"off\"}"];
    let config = with(&wanted).unwrap();
    let told = sets(&default_of::<Config>(), &serde_json::to_value(&config).unwrap());
    assert_eq!(told, wanted);
    assert_eq!(resolve::<Config>(None, &told).unwrap(), config);
}
