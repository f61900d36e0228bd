//! Reading Rust source as text: what is code, what is comment, what is test.
//!
//! The ordering sweep and `tests/it/tidy.rs` look at sources with the same
//! eyes; the latter includes this file by path, so that neither pulls in the
//! other's dependencies.

/// How many lines above a place its comment may stand.
const REACH: usize = 6;

/// The text with comments, and the contents of strings and characters,
/// replaced by spaces. Quotes, offsets and lines stay what they were.
pub(crate) fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = if bytes[at..].starts_with(b"//") {
            let end = find(bytes, at, b"\n").unwrap_or(bytes.len());
            blank(&mut out, at, end);
            end
        } else if bytes[at..].starts_with(b"/*") {
            let end = end_of_block_comment(bytes, at);
            blank(&mut out, at, end);
            end
        } else if let Some((inside, end)) = literal(bytes, at) {
            blank(&mut out, inside.0, inside.1);
            end
        } else {
            at + 1
        };
        at = end;
    }
    // Whole comments and whole literals were replaced, never half a character.
    String::from_utf8(out).expect("masking keeps characters whole")
}

fn blank(out: &mut [u8], from: usize, to: usize) {
    for byte in &mut out[from..to] {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

fn find(bytes: &[u8], from: usize, needle: &[u8]) -> Option<usize> {
    bytes[from..]
        .windows(needle.len())
        .position(|window| window == needle)
        .map(|offset| from + offset)
}

fn end_of_block_comment(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0;
    let mut at = start;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

/// Where the string or character that starts at `at` has its inside, and
/// where it ends; `None` if none starts here.
fn literal(bytes: &[u8], at: usize) -> Option<((usize, usize), usize)> {
    match bytes[at] {
        b'"' => {
            let close = closing(bytes, at + 1, b'"');
            Some(((at + 1, close), (close + 1).min(bytes.len())))
        }
        b'r' if !follows_a_word(bytes, at) => {
            let hashes = bytes[at + 1..].iter().take_while(|b| **b == b'#').count();
            let quote = at + 1 + hashes;
            if bytes.get(quote) != Some(&b'"') {
                return None;
            }
            let mut end = vec![b'"'];
            end.resize(1 + hashes, b'#');
            let close = find(bytes, quote + 1, &end).unwrap_or(bytes.len());
            Some(((quote + 1, close), (close + end.len()).min(bytes.len())))
        }
        b'\'' => {
            // Anything else after a quote is a lifetime or a label.
            let close = if bytes.get(at + 1) == Some(&b'\\') {
                closing(bytes, at + 1, b'\'')
            } else {
                let rest = std::str::from_utf8(&bytes[at + 1..]).ok()?;
                at + 1 + rest.chars().next()?.len_utf8()
            };
            (bytes.get(close) == Some(&b'\'')).then_some(((at + 1, close), close + 1))
        }
        _ => None,
    }
}

fn closing(bytes: &[u8], from: usize, quote: u8) -> usize {
    let mut at = from;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at.min(bytes.len())
}

/// Whether the `r` at `at` is the end of a longer word than a string's prefix.
fn follows_a_word(bytes: &[u8], at: usize) -> bool {
    let word = |i: usize| bytes[i].is_ascii_alphanumeric() || bytes[i] == b'_';
    let prefixed = at > 0 && matches!(bytes[at - 1], b'b' | b'c');
    let before = if prefixed { at - 1 } else { at };
    before > 0 && word(before - 1)
}

/// `code`, which must come from this file's masks, with the items behind
/// `#[cfg(test)]` replaced by spaces: what is shipped.
pub(crate) fn without_tests(code: &str) -> String {
    let mut out = code.as_bytes().to_vec();
    for attribute in ["#[cfg(test)]", "#[cfg(all(test"] {
        let mut from = 0;
        while let Some(start) = code[from..].find(attribute).map(|offset| from + offset) {
            let end = end_of_item(code.as_bytes(), start + attribute.len());
            blank(&mut out, start, end);
            from = end;
        }
    }
    String::from_utf8(out).expect("items are whole characters")
}

fn end_of_item(bytes: &[u8], from: usize) -> usize {
    let mut depth = 0_i32;
    for (at, byte) in bytes.iter().enumerate().skip(from) {
        match byte {
            b'{' => depth += 1,
            // An attribute cut in its middle leaves closing brackets over,
            // which must not count.
            b'(' | b'[' if depth > 0 => depth += 1,
            b')' | b']' if depth > 0 => depth -= 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    bytes.len()
}

/// The 1-based line that holds the byte at `offset`.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset]
        .iter()
        .filter(|b| **b == b'\n')
        .count()
        + 1
}

/// The comment that carries `marker` on the given 1-based line or within six
/// lines above it: its own line, and what it says after the marker. A comment
/// block that begins higher up counts whole, so that a long argument is not
/// punished.
pub(crate) fn comment_above(text: &str, line: usize, marker: &str) -> Option<(usize, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let is_comment = |index: usize| lines[index].trim_start().starts_with("//");
    let mut first = (line - 1).saturating_sub(REACH);
    while first > 0 && is_comment(first) && is_comment(first - 1) {
        first -= 1;
    }
    let found = (first..line.min(lines.len())).rev().find(|index| {
        lines[*index]
            .split_once("//")
            .is_some_and(|(_, comment)| comment.contains(marker))
    })?;
    let mut said = lines[found].split_once(marker)?.1.trim().to_owned();
    let mut next = found + 1;
    while next < lines.len() && is_comment(found) && is_comment(next) {
        said.push(' ');
        said.push_str(lines[next].trim_start().trim_start_matches('/').trim());
        next += 1;
    }
    Some((found + 1, said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_masked_and_code_is_kept() {
        let text = "a(); // b()\n/* c() /* d() */ */ e(\"f()\\\"\", 'g', r#\"h\"i()\"#);";
        let code = code_only(text);
        assert_eq!(code.len(), text.len());
        assert!(code.contains("a();") && code.contains("e("));
        for hidden in ["b()", "c()", "d()", "f()", "'g'", "i()"] {
            assert!(!code.contains(hidden), "{hidden} in {code}");
        }
    }

    #[test]
    fn a_lifetime_is_not_the_start_of_a_character() {
        let code = code_only("fn f<'a>(x: &'a str) -> char { '\\'' } // gone 'é'");
        assert!(code.starts_with("fn f<'a>(x: &'a str) -> char {"));
        assert!(!code.contains("gone"));
        assert_eq!(code_only("('é', x)"), "('  ', x)");
    }

    #[test]
    fn raw_identifiers_and_words_ending_in_r_are_code() {
        assert_eq!(code_only("r#type + for\"x\""), "r#type + for\" \"");
    }

    #[test]
    fn test_modules_are_not_shipped() {
        let code = "fn a() {}\n#[cfg(all(test, not(x)))]\nmod tests { fn b() {} }\nfn c() {}\n#[cfg(test)]\nuse d;\nfn e() {}";
        let shipped = without_tests(code);
        assert_eq!(shipped.len(), code.len());
        for kept in ["fn a", "fn c", "fn e"] {
            assert!(shipped.contains(kept), "{kept} in {shipped}");
        }
        assert!(!shipped.contains("fn b") && !shipped.contains("use d"));
    }

    #[test]
    fn a_comment_serves_the_next_six_lines_and_no_more() {
        let text = "// MARK: because\n// of this.\n2\n3\n4\n5\n6\n7\n8\n9\n";
        assert_eq!(
            comment_above(text, 3, "MARK:"),
            Some((1, "because of this.".to_owned()))
        );
        assert!(
            comment_above(text, 8, "MARK:").is_some(),
            "the block is reached at its last line"
        );
        assert_eq!(comment_above(text, 9, "MARK:"), None);
        assert_eq!(
            comment_above("x // MARK: here\n", 1, "MARK:"),
            Some((1, "here".to_owned()))
        );
    }
}
