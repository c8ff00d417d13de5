//! Syntax of templates.

use super::Value;
use super::functions::{self, Function};

/// How deep ifs and brackets may lie in each other.
const MAX_DEPTH: usize = 50;

/// A piece of a template.
#[derive(Debug)]
pub(super) enum Node {
    /// Text as it is.
    Text(String),
    /// A placeholder.
    Action(Pipeline),
    /// The first branch whose condition holds.
    If {
        /// Conditions with what they give.
        branches: Vec<(Pipeline, Vec<Node>)>,
        /// What is given if none holds.
        otherwise: Vec<Node>,
    },
}

/// Commands, each of which takes the result of the one before it as its last argument.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) commands: Vec<Command>,
}

/// A function with arguments, or a single operand.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) function: Option<&'static Function>,
    pub(super) arguments: Vec<Operand>,
}

/// Something with a value.
#[derive(Debug)]
pub(super) enum Operand {
    /// A literal.
    Fixed(Value),
    /// `$value`
    Value,
    /// `$labels`
    Labels,
    /// `$labels.NAME`
    Label(String),
    /// A pipeline in brackets.
    Nested(Pipeline),
}

#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    Variable(String),
    Field(String),
    Literal(Value),
    Pipe,
    Open,
    Close,
}

/// An if that is being read.
struct OpenIf {
    branches: Vec<(Pipeline, Vec<Node>)>,
    condition: Option<Pipeline>,
    /// What came before the if.
    before: Vec<Node>,
}

/// Parses a template.
pub(super) fn parse(source: &str) -> Result<Vec<Node>, String> {
    let mut nodes = Vec::new();
    let mut open: Vec<OpenIf> = Vec::new();
    let mut rest = source;
    while let Some(at) = rest.find("{{") {
        let (mut text, action) = (&rest[..at], &rest[at + 2..]);
        let end = find_end(action).ok_or("a placeholder is not closed")?;
        let (mut inside, mut after) = (&action[..end], &action[end + 2..]);
        if let Some(trimmed) = inside.strip_prefix('-').filter(|inner| inner.starts_with(char::is_whitespace))
        {
            inside = trimmed;
            text = text.trim_end();
        }
        if let Some(trimmed) = inside.strip_suffix('-').filter(|inner| inner.ends_with(char::is_whitespace)) {
            inside = trimmed;
            after = after.trim_start();
        }
        if !text.is_empty() {
            nodes.push(Node::Text(text.to_owned()));
        }
        read_action(inside.trim(), &mut nodes, &mut open)?;
        rest = after;
    }
    if !open.is_empty() {
        return Err("an if is not closed by end".to_owned());
    }
    if !rest.is_empty() {
        nodes.push(Node::Text(rest.to_owned()));
    }
    Ok(nodes)
}

/// Where the action ends: at the first `}}` outside of texts and comments.
fn find_end(action: &str) -> Option<usize> {
    let start = action.trim_start_matches('-').trim_start();
    if start.starts_with("/*") {
        let from = action.len() - start.len();
        let comment_end = from + start.find("*/")? + 2;
        return Some(comment_end + action[comment_end..].find("}}")?);
    }
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in action.char_indices() {
        match quote {
            Some('"') if escaped => escaped = false,
            Some('"') if c == '\\' => escaped = true,
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if c == '"' || c == '`' => quote = Some(c),
            None if action[at..].starts_with("}}") => return Some(at),
            None => {}
        }
    }
    // An open text is told as such by the tokens.
    quote.and_then(|_| action.find("}}"))
}

fn read_action(inside: &str, nodes: &mut Vec<Node>, open: &mut Vec<OpenIf>) -> Result<(), String> {
    if inside.starts_with("/*") {
        return if inside.ends_with("*/") { Ok(()) } else { Err("text after a comment".to_owned()) };
    }
    let (word, argument) = inside.split_once(char::is_whitespace).unwrap_or((inside, ""));
    match word {
        "if" => {
            if open.len() >= MAX_DEPTH {
                return Err(format!("ifs are nested more than {MAX_DEPTH} deep"));
            }
            let condition = Some(pipeline(argument)?);
            open.push(OpenIf { branches: Vec::new(), condition, before: std::mem::take(nodes) });
        }
        "else" => {
            let current = open.last_mut().ok_or("else without if")?;
            let condition = current.condition.take().ok_or("else after else")?;
            current.branches.push((condition, std::mem::take(nodes)));
            match argument.trim().split_once(char::is_whitespace) {
                Some(("if", next)) => current.condition = Some(pipeline(next)?),
                None if argument.trim().is_empty() => {}
                _ => return Err("else takes nothing or an if".to_owned()),
            }
        }
        "end" if argument.trim().is_empty() => {
            let mut closed = open.pop().ok_or("end without if")?;
            let body = std::mem::replace(nodes, closed.before);
            let otherwise = match closed.condition {
                Some(condition) => {
                    closed.branches.push((condition, body));
                    Vec::new()
                }
                None => body,
            };
            nodes.push(Node::If { branches: closed.branches, otherwise });
        }
        "range" | "with" | "define" | "template" | "block" | "break" | "continue" => {
            return Err(format!("{word} is not supported"));
        }
        _ => nodes.push(Node::Action(pipeline(inside)?)),
    }
    Ok(())
}

fn pipeline(text: &str) -> Result<Pipeline, String> {
    let tokens = tokens(text)?;
    let mut tokens = tokens.into_iter().peekable();
    let pipeline = read_pipeline(&mut tokens, 0)?;
    if tokens.peek().is_some() {
        return Err("a bracket is closed that is not open".to_owned());
    }
    Ok(pipeline)
}

type Tokens = std::iter::Peekable<std::vec::IntoIter<Token>>;

fn read_pipeline(tokens: &mut Tokens, depth: usize) -> Result<Pipeline, String> {
    if depth > MAX_DEPTH {
        return Err(format!("brackets are nested more than {MAX_DEPTH} deep"));
    }
    let mut commands = Vec::new();
    loop {
        commands.push(read_command(tokens, depth, !commands.is_empty())?);
        if tokens.next_if_eq(&Token::Pipe).is_none() {
            return Ok(Pipeline { commands });
        }
    }
}

fn read_command(tokens: &mut Tokens, depth: usize, is_piped: bool) -> Result<Command, String> {
    let mut function = None;
    let mut arguments = Vec::new();
    while let Some(token) = tokens.next_if(|token| !matches!(token, Token::Pipe | Token::Close)) {
        match token {
            Token::Word(name) if function.is_none() && arguments.is_empty() => {
                function = Some(functions::find(&name).ok_or_else(|| format!("unknown function {name}"))?);
            }
            Token::Word(name) => return Err(format!("unexpected {name}")),
            Token::Open => {
                arguments.push(Operand::Nested(read_pipeline(tokens, depth + 1)?));
                tokens.next_if_eq(&Token::Close).ok_or("a bracket is not closed")?;
            }
            Token::Variable(name) => arguments.push(variable(&name)?),
            Token::Field(name) => arguments.push(field(&name)?),
            Token::Literal(value) => arguments.push(Operand::Fixed(value)),
            Token::Pipe | Token::Close => {}
        }
    }
    let count = arguments.len() + usize::from(is_piped);
    match function {
        Some(function) => function.check(count)?,
        None if arguments.is_empty() => return Err("an empty placeholder".to_owned()),
        None if count > 1 => return Err("only a function can take arguments".to_owned()),
        None => {}
    }
    Ok(Command { function, arguments })
}

fn variable(name: &str) -> Result<Operand, String> {
    let (variable, field) =
        name.split_once('.').map_or((name, None), |(variable, field)| (variable, Some(field)));
    known(variable, field).ok_or_else(|| format!("unknown variable ${variable}"))?
}

fn field(name: &str) -> Result<Operand, String> {
    let (first, field) = name.split_once('.').map_or((name, None), |(first, field)| (first, Some(field)));
    let variable = match first {
        "Labels" => "labels",
        "ExternalLabels" => "externalLabels",
        "ExternalURL" => "externalURL",
        "Value" => "value",
        _ => return Err(format!("unknown field .{first}")),
    };
    known(variable, field).ok_or_else(|| format!("unknown field .{first}"))?
}

/// One of Prometheus' variables, with a field if one is named; `None` if there is no such variable.
fn known(variable: &str, field: Option<&str>) -> Option<Result<Operand, String>> {
    let operand = match (variable, field) {
        ("labels", None) => Operand::Labels,
        ("labels", Some(name)) if !name.contains('.') => Operand::Label(name.to_owned()),
        ("value", None) => Operand::Value,
        ("externalURL", None) => Operand::Fixed(Value::Text(String::new())),
        ("externalLabels", None) => Operand::Fixed(Value::Labels(crate::records::rules::Pairs::new())),
        ("externalLabels", Some(name)) if !name.contains('.') => Operand::Fixed(Value::Text(String::new())),
        ("labels" | "value" | "externalURL" | "externalLabels", Some(_)) => {
            return Some(Err(format!("{variable} has no fields of that name")));
        }
        _ => return None,
    };
    Some(Ok(operand))
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '|' => (Token::Pipe, 1),
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '"' | '`' => quoted(rest, first)?,
            '$' => {
                let name = name(&rest[1..]);
                (Token::Variable(name.to_owned()), name.len() + 1)
            }
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_alphabetic()) => {
                let name = name(&rest[1..]);
                (Token::Field(name.to_owned()), name.len() + 1)
            }
            c if c.is_ascii_digit() || matches!(c, '-' | '+' | '.') => number(rest)?,
            c if c.is_ascii_alphabetic() => {
                let name = name(rest);
                let token = match name {
                    "true" => Token::Literal(Value::Bool(true)),
                    "false" => Token::Literal(Value::Bool(false)),
                    _ => Token::Word(name.to_owned()),
                };
                (token, name.len())
            }
            c => return Err(format!("unexpected {c:?}")),
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

/// A name with its fields.
fn name(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'));
    &text[..end.unwrap_or(text.len())]
}

fn number(text: &str) -> Result<(Token, usize), String> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-' | '_')));
    let word = &text[..end.unwrap_or(text.len())];
    let value = match word.parse::<i64>() {
        Ok(whole) => Value::Whole(whole),
        Err(_) => Value::Number(word.parse().map_err(|_| format!("{word} is not a number"))?),
    };
    Ok((Token::Literal(value), word.len()))
}

/// A text in quotes and its length with them.
fn quoted(text: &str, quote: char) -> Result<(Token, usize), String> {
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Ok((Token::Literal(Value::Text(out)), at + 1));
        }
        if c != '\\' || quote == '`' {
            out.push(c);
            continue;
        }
        let escaped = match text[at + 1..].chars().next() {
            Some('x') => chars.next().and_then(|_| code_of(&mut chars, 2)),
            Some('u') => chars.next().and_then(|_| code_of(&mut chars, 4)),
            Some('U') => chars.next().and_then(|_| code_of(&mut chars, 8)),
            _ => chars.next().and_then(|(_, c)| match c {
                'n' => Some('\n'),
                't' => Some('\t'),
                'r' => Some('\r'),
                '\\' | '"' | '\'' => Some(c),
                _ => None,
            }),
        };
        out.push(escaped.ok_or("an unknown escape in a text")?);
    }
    Err("a text is not closed".to_owned())
}

/// A character by its hexadecimal code.
fn code_of(chars: &mut impl Iterator<Item = (usize, char)>, digits: usize) -> Option<char> {
    let hex: String = chars.take(digits).map(|(_, c)| c).collect();
    char::from_u32(u32::from_str_radix(&hex, 16).ok()?).filter(|_| hex.len() == digits)
}
