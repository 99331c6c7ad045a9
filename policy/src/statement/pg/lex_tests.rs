//! The scanner against the server's own.

use super::*;
use crate::statement::pg::corpus;

/// Spans of our tokens, and the error that ended them.
fn spans(text: &str) -> (Vec<(usize, usize)>, Option<LexError>) {
    let mut lexer = Lexer::new(text.as_bytes(), true, &Limits::default());
    let mut spans = Vec::new();
    loop {
        match lexer.next_token() {
            Ok(Some(token)) => spans.push((token.start, token.end)),
            Ok(None) => return (spans, None),
            Err(error) => return (spans, Some(error)),
        }
    }
}

/// Spans of the server's own scanner; `None` where it refuses the text.
fn server_spans(text: &str) -> Option<Vec<(usize, usize)>> {
    let comments = [
        pg_query::protobuf::Token::SqlComment,
        pg_query::protobuf::Token::CComment,
    ];
    let tokens = pg_query::scan(text).ok()?.tokens;
    let ours = tokens
        .iter()
        .filter(|token| !comments.iter().any(|&c| c as i32 == token.token));
    Some(
        ours.map(|token| (token.start as usize, token.end as usize))
            .collect(),
    )
}

fn check(text: &str) -> Result<(), String> {
    let Some(theirs) = server_spans(text) else {
        return Ok(());
    };
    match spans(text) {
        (ours, None) if ours == theirs => Ok(()),
        (_, Some(error)) if error.is_complexity() => Ok(()),
        (ours, error) => Err(format!(
            "{text}\n  ours   {ours:?} {error:?}\n  theirs {theirs:?}"
        )),
    }
}

#[test]
fn tokens_are_the_servers() {
    let texts = [
        "a+-1",
        "a=-1",
        "a@-1",
        "a+-@1",
        "1--2\n3",
        "a/*x*/b",
        "a+/*x*/-b",
        "=>",
        "=>+ 1",
        "a<=>b",
        "a:=b",
        "a::b:c",
        "[1:2]",
        "[1 ::int:2]",
        "1..2",
        "1.5.6",
        ".5",
        "1.",
        "1.e5",
        "1e5",
        "1E-5",
        "0x1F",
        "0b1",
        "0o7",
        "1_000",
        "0x_1",
        "$1",
        "$1+$2",
        "$$a$$",
        "$a$ $b$ $a$",
        "$a$$a$",
        "$a$b$$a$",
        "a$b$c",
        "$ a",
        "'a''b'",
        "E'a\\'b'",
        "'a'\n  'b'",
        "'a' -- c\n 'b'",
        "'a' /* */ 'b'",
        "'a'  'b'",
        "n'a'",
        "N 'a'",
        "b'01'",
        "x'1F'",
        "U&'a\\0061'",
        "U&\"a\"",
        "u & 'a'",
        "\"a\"\"b\"",
        "\"a\"\"\"",
        "a.b",
        "a..b",
        "a . . b",
        "!=",
        "<>",
        "<->",
        "?-",
        "?-|",
        "*+",
        "+-+",
        "-+",
        "%-",
        "~-",
        "`-",
        "@-@",
        "(a)->>'b'",
        "\u{e9}t\u{e9}",
        "\\",
        "{",
        "a\x0bb",
        "--",
        "/**/",
        "/*/**/*/",
        "/***/",
        "/*/*/**/*/*/",
        "1e",
        "1a",
        "'",
        "\"\"",
        "E'\\",
        "$1a",
        "$2147483648",
        "/*",
        "*/",
        "**/",
        "- -",
        "&&",
        "||/",
        "|/ 2",
        "2 !",
        "@ -5",
    ];
    let wrong: Vec<String> = texts.iter().filter_map(|text| check(text).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn tokens_are_the_servers_over_the_corpora() {
    let texts = corpus::postgres();
    let wrong: Vec<String> = texts.iter().filter_map(|text| check(text).err()).collect();
    println!("{} texts, {} differ", texts.len(), wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn tokens_are_the_servers_over_soup() {
    let mut soup = corpus::Soup::new(7);
    let mut wrong = Vec::new();
    for _ in 0..20_000 {
        let text = soup.text(24);
        wrong.extend(check(&text).err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn zero_bytes_are_refused_everywhere() {
    for text in [
        "a\0",
        "'\0'",
        "\"\0\"",
        "-- \0",
        "/* \0 */",
        "$$ \0 $$",
        "E'\\\0'",
        "'a'\n\0'b'",
        "\0",
    ] {
        assert_eq!(spans(text).1, Some(LexError::Nul), "{text:?}");
    }
}
