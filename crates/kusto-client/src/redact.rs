//! Takes secrets out of text that others wrote.
//!
//! The service and the storage accounts put URLs into their messages, and a URL may carry a signature. Every text from
//! outside passes here before it becomes a part of an error or a log line.

/// Names after which a secret stands, in lower case.
const MARKS: &[&str] = &[
    "sig=",
    "sig%3d",
    "bearer ",
    "client_secret=",
    "client_assertion=",
    "accountkey=",
    "sharedaccesssignature=",
    "access_token=",
    "\"access_token\":\"",
    "token=",
];

const HIDDEN: &str = "[hidden]";

/// `text` with the value after every known mark replaced.
pub(crate) fn redact(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut clean = String::with_capacity(text.len());
    let mut at = 0;
    while let Some((start, end)) = next_secret(&lower, at) {
        clean.push_str(&text[at..start]);
        clean.push_str(HIDDEN);
        at = end;
    }
    clean.push_str(&text[at..]);
    clean
}

/// The first line of `text` without secrets, at most `limit` characters long: what an error quotes of an answer.
pub(crate) fn excerpt(text: &str, limit: usize) -> String {
    let line = redact(text.trim().lines().next().unwrap_or_default());
    match line.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Where the next secret at or after `from` begins and ends.
fn next_secret(lower: &str, from: usize) -> Option<(usize, usize)> {
    let (at, mark) = MARKS
        .iter()
        .filter_map(|mark| lower[from..].find(mark).map(|offset| (from + offset, mark)))
        .min_by_key(|(at, mark)| (*at, std::cmp::Reverse(mark.len())))?;
    let start = at + mark.len();
    let length = lower[start..].find(ends_secret).unwrap_or(lower.len() - start);
    Some((start, start + length))
}

fn ends_secret(c: char) -> bool {
    c.is_whitespace() || matches!(c, '&' | '"' | '\'' | ';' | ',' | '<' | '>' | ')' | ']' | '}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_tokens_and_keys_are_hidden_and_the_rest_stays() {
        let text =
            "GET https://a/b?sv=1&sig=Ab%2Bc%3D&se=2 with 'Authorization: Bearer ey.J.x' and client_secret=k";
        let clean = redact(text);
        assert_eq!(
            clean,
            "GET https://a/b?sv=1&sig=[hidden]&se=2 with 'Authorization: Bearer [hidden]' and client_secret=[hidden]"
        );
    }

    #[test]
    fn an_excerpt_is_one_short_line_cut_between_characters() {
        assert_eq!(excerpt("  äöü\nmore", 2), "äö…");
        assert_eq!(excerpt("ok", 2), "ok");
        assert_eq!(excerpt("", 2), "");
    }

    #[test]
    fn text_without_secrets_is_unchanged() {
        for text in ["", "sig", "a=b&c=d", "İstanbul sıg"] {
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn no_damage_around_a_secret_brings_it_to_light() {
        let examples = [
            "GET https://a/b?sv=1&sig=s3cret&se=2 failed",
            "Authorization: Bearer s3cret",
            "{\"access_token\":\"s3cret\",\"x\":1}",
            "client_secret=s3cret&client_id=a",
            "İÅ sig=s3cret\u{2028}ß",
        ];
        crate::fuzz::fuzz("redaction", &examples, |text| {
            let text = String::from_utf8_lossy(text);
            let clean = redact(&text);
            assert!(!clean.to_ascii_lowercase().contains("sig=s3cret"), "{clean}");
            assert!(excerpt(&text, 20).chars().count() <= 21);
        });
    }
}
