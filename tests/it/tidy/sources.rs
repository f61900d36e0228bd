use super::text::{code_only, line_of, without_tests};

/// Lines from which on a file must say why it is one.
const LONG: usize = 400;

pub(crate) fn unsafe_forbidden(text: &str) -> Vec<String> {
    if code_only(text).contains("#![forbid(unsafe_code)]") {
        Vec::new()
    } else {
        vec![": does not forbid unsafe code".to_owned()]
    }
}

/// Time is an argument: what ships reads no clock.
pub(crate) fn no_clock_read(text: &str) -> Vec<String> {
    let code = without_tests(&code_only(text));
    complaints(&code, &["Instant::now", "SystemTime::now"], "reads a clock")
}

pub(crate) fn nothing_left_undone(text: &str) -> Vec<String> {
    let code = code_only(text);
    let planted = ["todo!", "unimplemented!", "dbg!", "#[ignore"];
    complaints(&code, &planted, "is not finished work")
}

fn complaints(code: &str, phrases: &[&str], why: &str) -> Vec<String> {
    let found = phrases.iter().flat_map(|phrase| code.match_indices(phrase));
    found
        .filter(|(at, _)| !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        .map(|(at, phrase)| format!(":{}: {phrase} {why}", line_of(code, at)))
        .collect()
}

/// The comments among the first thirty lines of a long file say the words
/// "one file".
pub(crate) fn long_files_say_why(text: &str) -> Vec<String> {
    let lines = text.lines().count();
    let head: Vec<&str> = text
        .lines()
        .take(30)
        .map(str::trim)
        .filter(|line| line.starts_with("//"))
        .map(|line| line.trim_start_matches(['/', '!']).trim())
        .collect();
    if lines <= LONG || head.join(" ").to_lowercase().contains("one file") {
        Vec::new()
    } else {
        vec![format!(
            ": {lines} lines, and its head does not say why it is one file"
        )]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_that_may_be_unsafe_is_seen() {
        assert_eq!(
            unsafe_forbidden("//! Docs.\n#![forbid(unsafe_code)]\n").len(),
            0
        );
        assert_eq!(unsafe_forbidden("// #![forbid(unsafe_code)]\n").len(), 1);
        assert_eq!(unsafe_forbidden("#![deny(unsafe_code)]\n").len(), 1);
    }

    #[test]
    fn a_clock_that_is_read_is_seen() {
        assert_eq!(no_clock_read("let t = std::time::Instant::now();").len(), 1);
        assert_eq!(no_clock_read("let t = SystemTime::now;").len(), 1);
        assert_eq!(no_clock_read("clock.now(); // Instant::now()").len(), 0);
        assert_eq!(
            no_clock_read("#[cfg(test)]\nmod t { fn f() { Instant::now(); } }").len(),
            0
        );
    }

    #[test]
    fn unfinished_work_is_seen() {
        for planted in [
            "fn f() { todo!() }",
            "fn f() { unimplemented!(\"x\") }",
            "dbg!(x);",
            "#[test]\n#[ignore = \"slow\"]\nfn f() {}",
        ] {
            assert_eq!(nothing_left_undone(planted).len(), 1, "{planted}");
        }
        assert_eq!(
            nothing_left_undone("let s = \"todo!\"; // dbg!(s)\nmy_todo!();").len(),
            0
        );
    }

    #[test]
    fn a_long_file_without_a_reason_is_seen() {
        let long = "x\n".repeat(401);
        assert_eq!(long_files_say_why(&"x\n".repeat(400)).len(), 0);
        assert_eq!(long_files_say_why(&long).len(), 1);
        assert_eq!(
            long_files_say_why(&format!("//! This is one\n//! file because.\n{long}")).len(),
            0
        );
        assert_eq!(
            long_files_say_why(&format!("{long}// This is one file because.\n")).len(),
            1
        );
    }
}
