//! A report in a browser, where there is one: no error, tables sort, the animation moves, nothing is wider than a phone.

mod common;

use common::{run, text};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The first Chromium on the path, or the one that `CHROMIUM` names.
fn chromium() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CHROMIUM") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    std::env::split_paths(&path)
        .find_map(|dir| names.iter().map(|name| dir.join(name)).find(|file| file.is_file()))
}

/// The page after its scripts and ours ran, with what the console said.
fn open(browser: &Path, dir: &Path, page: &Path, width: u32) -> (String, String) {
    let mut command = Command::new(browser);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions"]);
    command.args(["--enable-logging=stderr", "--virtual-time-budget=4000", "--dump-dom"]);
    command.arg(format!("--window-size={width},900"));
    command.arg(format!("--user-data-dir={}", dir.join("profile").display()));
    command.arg(format!("file://{}", page.display())).stdin(Stdio::null());
    let (out, err) = (dir.join("dom.html"), dir.join("console.txt"));
    command.stdout(std::fs::File::create(&out).unwrap()).stderr(std::fs::File::create(&err).unwrap());
    let mut child = command.spawn().expect("the browser starts");
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > Duration::from_mins(2) {
            child.kill().unwrap();
            let _ = child.wait();
            panic!("the browser did not end: {}", std::fs::read_to_string(&err).unwrap());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let read = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    (read(&out), read(&err))
}

/// Notes every error from the first moment on.
const EARLY: &str = "<script>window.found=[];addEventListener('error',e=>found.push(String(e.message)));\
    addEventListener('unhandledrejection',e=>found.push(String(e.reason)));\
    console.error=(...a)=>found.push(a.join(' '));</script>";

/// Does what a reader would do, and leaves what came of it in the page.
const LATE: &str = r"<script>
(async () => {
  const result = {tables: 0, sorted: 0, wide: 0};
  for (const table of document.querySelectorAll('table.sortable')) {
    const rows = () => [...table.tBodies[0].rows];
    [...table.tHead.rows[0].cells].forEach((head, k) => {
      for (const sign of [1, -1]) {
        head.querySelector('button').click();
        const keys = rows().map(row => row.cells[k].dataset.key).filter(key => key !== '' && key !== 'NaN');
        const order = (a, b) => {
          const [p, q] = [Number(a), Number(b)];
          return sign * (Number.isNaN(p) || Number.isNaN(q) ? a.localeCompare(b) : p - q);
        };
        result.tables += 1;
        result.sorted += keys.every((key, i) => i === 0 || order(keys[i - 1], key) <= 0) ? 1 : 0;
      }
    });
  }
  const figure = document.querySelector('figure.animation');
  const [button, slider, label] = ['button', 'input', 'output'].map(s => figure.querySelector(s));
  const dots = [...figure.querySelectorAll('path.d')].pop();
  const last = [dots.getAttribute('d'), label.textContent];
  slider.value = 0;
  slider.dispatchEvent(new Event('input'));
  result.slider = dots.getAttribute('d') !== last[0] && label.textContent !== last[1];
  button.click();
  await new Promise(done => setTimeout(done, 450));
  result.played = Number(slider.value) >= 2;
  button.click();
  const stopped = slider.value;
  await new Promise(done => setTimeout(done, 300));
  result.paused = slider.value === stopped;
  result.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  result.errors = found;
  document.documentElement.dataset.result = JSON.stringify(result);
})().catch(e => { document.documentElement.dataset.result = JSON.stringify({errors: [String(e)]}); });
</script>";

#[test]
fn a_reader_can_sort_and_play() {
    let Some(browser) = chromium() else {
        eprintln!("no Chromium was found: the report was not opened in a browser");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let sets = ["particles=[16,40]", "repetitions=2", "steps=100", "reference=1000"];
    let mut arguments = vec!["repulsion", "--log", "none", "--out", "out"];
    arguments.extend(sets.iter().flat_map(|set| ["--set", set]));
    let output = run(dir.path(), &arguments);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", text(&output).1);
    let html = std::fs::read_to_string(dir.path().join("out/report.html")).unwrap();
    let page = dir.path().join("page.html");
    let watched =
        html.replacen("<title>", &format!("{EARLY}<title>"), 1).replace("</body>", &format!("{LATE}</body>"));
    std::fs::write(&page, watched).unwrap();
    for width in [1200, 500] {
        let (dom, console) = open(&browser, dir.path(), &page, width);
        let start = dom.find("data-result=\"").unwrap_or_else(|| panic!("the script did not end\n{console}"));
        let json = dom[start + 13..].split('"').next().unwrap().replace("&quot;", "\"").replace("&amp;", "&");
        let result: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(result["errors"], serde_json::json!([]), "{console}");
        assert!(result["tables"].as_u64() > Some(3), "{result}");
        assert_eq!(result["tables"], result["sorted"], "{result}");
        for what in ["slider", "played", "paused"] {
            assert_eq!(result[what], true, "{what}: {result}");
        }
        assert!(
            result["wide"].as_i64() <= Some(0),
            "at {width} pixels the page is wider than the window: {result}"
        );
        // Content that the page's own policy refused, and scripts that failed, are told on the console.
        let told = console.lines().find(|line| line.contains("CONSOLE") && !line.contains("Slow"));
        assert_eq!(told, None);
    }
}
