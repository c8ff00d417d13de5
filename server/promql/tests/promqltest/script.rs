//! The commands of a test script: `clear`, `load`, `eval` and what is expected of it.

use super::notation::{parse_ms, parse_string};

pub(crate) enum Command {
    Clear,
    Load(Load),
    Eval(Box<Eval>),
    /// A command or line that cannot be understood.
    Broken {
        line: usize,
        why: String,
    },
}

pub(crate) struct Load {
    pub(crate) line: usize,
    pub(crate) step_ms: i64,
    pub(crate) series: Vec<String>,
    /// `load_with_nhcb`: classic histograms are to be loaded as native ones too.
    pub(crate) with_custom_buckets: bool,
}

pub(crate) enum Time {
    Instant(i64),
    Range { start: i64, end: i64, step: i64 },
}

pub(crate) struct Eval {
    pub(crate) line: usize,
    pub(crate) time: Time,
    pub(crate) query: String,
    pub(crate) expect: Expect,
}

#[derive(Default)]
pub(crate) struct Expect {
    pub(crate) fail: Option<Text>,
    pub(crate) ordered: bool,
    pub(crate) warn: Vec<Text>,
    pub(crate) info: Vec<Text>,
    pub(crate) no_warn: bool,
    pub(crate) no_info: bool,
    pub(crate) string: Option<String>,
    /// Start and step of the series lines where they describe a range vector of an instant query.
    pub(crate) range_vector: Option<(i64, i64)>,
    /// Lines with series and values, or one scalar.
    pub(crate) lines: Vec<String>,
}

/// What a message must be.
pub(crate) enum Text {
    Any,
    Exactly(String),
    Matching(String),
}

pub(crate) fn parse(text: &str) -> Vec<Command> {
    // As upstream does, a comment line counts as empty.
    let lines: Vec<&str> =
        text.lines().map(str::trim).map(|l| if l.starts_with('#') { "" } else { l }).collect();
    let mut commands = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let first = lines[at];
        let line = at + 1;
        at += 1;
        if first.is_empty() {
            continue;
        }
        let mut body = Vec::new();
        if first != "clear" {
            while at < lines.len() && !lines[at].is_empty() {
                body.push(lines[at]);
                at += 1;
            }
        }
        let command = parse_command(line, first, &body);
        commands.push(command.unwrap_or_else(|why| Command::Broken { line, why }));
    }
    commands
}

fn parse_command(line: usize, first: &str, body: &[&str]) -> Result<Command, String> {
    let (word, rest) = first.split_once(char::is_whitespace).unwrap_or((first, ""));
    match word {
        "clear" => Ok(Command::Clear),
        "load" | "load_with_nhcb" => Ok(Command::Load(Load {
            line,
            step_ms: parse_ms(rest.trim())?,
            series: body.iter().map(|&l| l.to_owned()).collect(),
            with_custom_buckets: word == "load_with_nhcb",
        })),
        "eval" | "eval_fail" | "eval_warn" | "eval_info" | "eval_ordered" => {
            let (time, query) = parse_time(rest.trim())?;
            let mut expect = Expect::default();
            match word {
                "eval_fail" => expect.fail = Some(Text::Any),
                "eval_warn" => expect.warn.push(Text::Any),
                "eval_info" => expect.info.push(Text::Any),
                "eval_ordered" => expect.ordered = true,
                _ => {}
            }
            for l in body {
                parse_expectation(l, &mut expect)?;
            }
            Ok(Command::Eval(Box::new(Eval { line, time, query: query.to_owned(), expect })))
        }
        _ => Err(format!("unknown command {word:?}")),
    }
}

/// The next word and what follows.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}

fn parse_time(text: &str) -> Result<(Time, &str), String> {
    let keyword = |text, expected: &str| match word(text) {
        (w, rest) if w == expected => Ok(rest),
        (w, _) => Err(format!("{expected:?} expected, found {w:?}")),
    };
    let duration = |text| {
        let (w, rest) = word(text);
        parse_ms(w).map(|ms| (ms, rest))
    };
    let (kind, rest) = word(text);
    match kind {
        "instant" => {
            let rest = keyword(rest, "at")?;
            let (at, query) = duration(rest)?;
            Ok((Time::Instant(at), query))
        }
        "range" => {
            let (start, rest) = duration(keyword(rest, "from")?)?;
            let (end, rest) = duration(keyword(rest, "to")?)?;
            let (step, query) = duration(keyword(rest, "step")?)?;
            Ok((Time::Range { start, end, step }, query))
        }
        _ => Err(format!("\"instant\" or \"range\" expected, found {kind:?}")),
    }
}

fn parse_expectation(line: &str, expect: &mut Expect) -> Result<(), String> {
    let Some(rest) = line.strip_prefix("expect ") else {
        // The old form of a failure's text.
        if let Some(message) = line.strip_prefix("expected_fail_message") {
            expect.fail = Some(Text::Exactly(message.trim().to_owned()));
        } else if let Some(pattern) = line.strip_prefix("expected_fail_regexp") {
            expect.fail = Some(Text::Matching(pattern.trim().to_owned()));
        } else {
            expect.lines.push(line.to_owned());
        }
        return Ok(());
    };
    let (kind, rest) = word(rest);
    match kind {
        "fail" => expect.fail = Some(parse_text(rest)?),
        "warn" => expect.warn.push(parse_text(rest)?),
        "info" => expect.info.push(parse_text(rest)?),
        "no_warn" => expect.no_warn = true,
        "no_info" => expect.no_info = true,
        "ordered" => expect.ordered = true,
        "string" => expect.string = Some(parse_string(rest)?.0),
        "range" => {
            let rest = rest.strip_prefix("vector").ok_or("\"vector\" expected")?.trim_start();
            let (time, _) = parse_time(&format!("range {rest} -"))?;
            let Time::Range { start, step, .. } = time else { return Err("range expected".to_owned()) };
            expect.range_vector = Some((start, step));
        }
        _ => return Err(format!("unknown expectation {kind:?}")),
    }
    Ok(())
}

fn parse_text(text: &str) -> Result<Text, String> {
    if text.is_empty() {
        Ok(Text::Any)
    } else if let Some(message) = text.strip_prefix("msg:") {
        Ok(Text::Exactly(message.trim().to_owned()))
    } else if let Some(pattern) = text.strip_prefix("regex:") {
        Ok(Text::Matching(pattern.trim().to_owned()))
    } else {
        Err(format!("\"msg:\" or \"regex:\" expected, found {text:?}"))
    }
}

impl Text {
    pub(crate) fn accepts(&self, message: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(text) => message == text,
            Self::Matching(pattern) => regex::Regex::new(pattern).unwrap().is_match(message),
        }
    }

    pub(crate) fn describe(&self) -> &str {
        match self {
            Self::Any => "any",
            Self::Exactly(text) | Self::Matching(text) => text,
        }
    }
}
