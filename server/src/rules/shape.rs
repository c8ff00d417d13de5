//! Everything that is wrong with the shape of a rule file: unknown, doubled and missing fields, wrong kinds of values.
//! Pure.
//!
//! A reader of types ends at the first thing that is wrong. So the text is looked at as a tree first, each finding is
//! noted, and what is wrong is blanked out without moving anything; then the content of the rest can be checked too.

use std::collections::BTreeSet;
use std::ops::Range;

use serde_saphyr::granit_parser::{Event, Parser, Span};

/// Depth of lists and tables that are looked at.
const MAX_DEPTH: usize = 32;
/// Findings that are noted.
const MAX_FINDINGS: usize = 100;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    Text,
    Whole,
    Texts,
    List,
}

/// Name, what it holds, whether it must be there.
type Field = (&'static str, Want, bool);

const FILE: [Field; 1] = [("groups", Want::List, false)];
const GROUP: [Field; 6] = [
    ("name", Want::Text, true),
    ("interval", Want::Text, false),
    ("query_offset", Want::Text, false),
    ("limit", Want::Whole, false),
    ("labels", Want::Texts, false),
    ("rules", Want::List, false),
];
const RULE: [Field; 7] = [
    ("record", Want::Text, false),
    ("alert", Want::Text, false),
    ("expr", Want::Text, true),
    ("for", Want::Text, false),
    ("keep_firing_for", Want::Text, false),
    ("labels", Want::Texts, false),
    ("annotations", Want::Texts, false),
];

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// Line, from 1.
    pub(super) line: u64,
    /// Column, from 1.
    pub(super) column: u64,
    /// Rule, field, and what is wrong with it.
    pub(super) reason: String,
}

/// A text whose shape was looked at.
#[derive(Debug)]
pub(super) struct Shape {
    /// What is wrong, in no order.
    pub(super) found: Vec<Finding>,
    /// The text without what is wrong, everything else at its place; `None` where that cannot be made.
    pub(super) mended: Option<String>,
}

/// Looks at a text; `None` where it is no YAML, or nested deeper than anything that is meant.
pub(super) fn look(text: &str) -> Option<Shape> {
    let root = tree(text)?;
    let mut look = Look { text, found: Vec::new(), holes: Vec::new(), mendable: true };
    look.file(&root);
    let mended = look.mendable.then(|| blank(text, &look.holes));
    Some(Shape { found: look.found, mended })
}

#[derive(Debug)]
struct Node {
    line: u64,
    column: u64,
    bytes: Range<usize>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    /// Refers to another place, whose shape is looked at there.
    Alias,
}

impl Node {
    fn new(span: &Span, kind: Kind) -> Option<Self> {
        Some(Self {
            line: u64::try_from(span.start.line()).ok()?,
            column: u64::try_from(span.start.col() + 1).ok()?,
            bytes: span.byte_range()?,
            kind,
        })
    }

    fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(text) => Some(text),
            _ => None,
        }
    }

    fn map(&self) -> Option<&[(Self, Self)]> {
        match &self.kind {
            Kind::Map(entries) => Some(entries),
            _ => None,
        }
    }

    fn field(&self, name: &str) -> Option<&Self> {
        self.map()?.iter().find(|(key, _)| key.text() == Some(name)).map(|(_, value)| value)
    }

    /// Whether nothing is written where a value could be.
    fn is_nothing(&self) -> bool {
        matches!(self.text(), Some("" | "~" | "null"))
    }
}

/// The first document as a tree.
fn tree(text: &str) -> Option<Node> {
    let mut open: Vec<(Node, Vec<Node>)> = Vec::new();
    for next in Parser::new_from_str(text) {
        let (event, span) = next.ok()?;
        let done = match event {
            Event::Scalar(text, ..) => Node::new(&span, Kind::Scalar(text.into_owned()))?,
            Event::Alias(..) => Node::new(&span, Kind::Alias)?,
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                if open.len() >= MAX_DEPTH {
                    return None;
                }
                open.push((Node::new(&span, Kind::Alias)?, Vec::new()));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (mut node, items) = open.pop()?;
                let closing = span.byte_range()?;
                // The end of a block is found where the next thing begins; a bracket is its own end.
                let bracket = text.get(closing.clone()).is_some_and(|sign| matches!(sign, "]" | "}"));
                let end = items.last().map_or(node.bytes.end, |last| last.bytes.end);
                node.bytes.end = if bracket { closing.end } else { end };
                node.kind = if matches!(event, Event::SequenceEnd) {
                    Kind::List(items)
                } else {
                    let mut entries = Vec::with_capacity(items.len() / 2);
                    let mut items = items.into_iter();
                    while let (Some(key), Some(value)) = (items.next(), items.next()) {
                        entries.push((key, value));
                    }
                    Kind::Map(entries)
                };
                node
            }
            _ => continue,
        };
        match open.last_mut() {
            Some((_, items)) => items.push(done),
            None => return Some(done),
        }
    }
    None
}

struct Look<'a> {
    text: &'a str,
    found: Vec<Finding>,
    holes: Vec<Range<usize>>,
    mendable: bool,
}

impl Look<'_> {
    fn note(&mut self, at: &Node, reason: String) {
        if self.found.len() < MAX_FINDINGS {
            self.found.push(Finding { line: at.line, column: at.column, reason });
        }
    }

    fn file(&mut self, root: &Node) {
        if !self.fields(root, "", &FILE) {
            self.mendable = false;
        }
        let Some(Kind::List(groups)) = root.field("groups").map(|node| &node.kind) else { return };
        for (index, group) in groups.iter().enumerate() {
            let place = match group.field("name").and_then(Node::text) {
                Some(name) => format!("group {name:?}"),
                None => format!("group {}", index + 1),
            };
            if !self.fields(group, &place, &GROUP) {
                self.drop_item(group);
            }
            let Some(Kind::List(rules)) = group.field("rules").map(|node| &node.kind) else { continue };
            for (index, rule) in rules.iter().enumerate() {
                let named = ["alert", "record"]
                    .into_iter()
                    .find_map(|kind| Some(format!("{place}, {kind} {:?}", rule.field(kind)?.text()?)));
                let place = named.unwrap_or_else(|| format!("{place}, rule {}", index + 1));
                if !self.fields(rule, &place, &RULE) {
                    self.drop_item(rule);
                }
            }
        }
    }

    /// Looks at the fields of a table. False if it cannot be read even without what is wrong.
    fn fields(&mut self, node: &Node, place: &str, known: &[Field]) -> bool {
        let at = |field: &str| if place.is_empty() { field.to_owned() } else { format!("{place}: {field}") };
        if matches!(node.kind, Kind::Alias) {
            return true;
        }
        let Some(entries) = node.map() else {
            let names: Vec<&str> = known.iter().map(|(name, ..)| *name).collect();
            self.note(node, at(&format!("a table with the fields {} belongs here", names.join(", "))));
            return false;
        };
        let (mut seen, mut merged, mut readable) = (BTreeSet::new(), false, true);
        for (key, value) in entries {
            let name = key.text().unwrap_or("?");
            match known.iter().find(|(known, ..)| *known == name) {
                // Merges another table, which stands elsewhere: nothing can be said to be missing.
                None if name == "<<" => merged = true,
                None => {
                    let nearest = nearest(name, known);
                    let hint = nearest.map_or_else(String::new, |name| format!("; did you mean {name}?"));
                    self.note(key, at(&format!("{name}: unknown field{hint}")));
                    self.holes.push(key.bytes.start..value.bytes.end);
                    // What was meant is not missing as well, though the table cannot be read without it.
                    if let Some((name, _, true)) = known.iter().find(|(name, ..)| Some(*name) == nearest) {
                        readable &= !seen.insert(*name);
                    }
                }
                Some((name, ..)) if !seen.insert(*name) => {
                    self.note(key, at(&format!("{name}: stands here twice")));
                    self.holes.push(key.bytes.start..value.bytes.end);
                }
                Some((name, want, required)) => {
                    if let Some(wrong) = self.wrong(value, *want) {
                        self.note(value, at(&format!("{name}: {wrong}")));
                        self.holes.push(key.bytes.start..value.bytes.end);
                        readable &= !required;
                    }
                }
            }
        }
        for (name, ..) in
            known.iter().filter(|(name, _, required)| *required && !merged && !seen.contains(name))
        {
            self.note(node, at(&format!("{name}: missing")));
            readable = false;
        }
        readable
    }

    /// Why a value is not what is wanted.
    fn wrong(&self, value: &Node, want: Want) -> Option<String> {
        let fits = match (&value.kind, want) {
            (Kind::Alias, _) | (Kind::Scalar(_), Want::Text) | (Kind::List(_), Want::List) => true,
            (Kind::Scalar(text), Want::Whole) => text.parse::<usize>().is_ok(),
            (Kind::Map(entries), Want::Texts) => entries.iter().all(|(key, value)| {
                key.text().is_some() && matches!(value.kind, Kind::Scalar(_) | Kind::Alias)
            }),
            (_, Want::List | Want::Texts) => value.is_nothing(),
            _ => false,
        };
        let belongs = match want {
            Want::Text => "one value belongs here",
            Want::Whole => "a whole number belongs here",
            Want::Texts => "a table of names and texts belongs here",
            Want::List => "a list belongs here",
        };
        (!fits).then(|| match value.text() {
            Some(text) => format!("{text:?} does not fit: {belongs}"),
            None => belongs.to_owned(),
        })
    }

    /// Takes a whole item out of its list.
    fn drop_item(&mut self, item: &Node) {
        let before = self.text.get(..item.bytes.start).unwrap_or_default().trim_end();
        match before.strip_suffix('-') {
            Some(rest) => self.holes.push(rest.len()..item.bytes.end),
            None => self.mendable = false,
        }
    }
}

/// The known name that was most likely meant.
fn nearest(wrong: &str, known: &[Field]) -> Option<&'static str> {
    let distance = |name: &str| strsim::damerau_levenshtein(wrong, name);
    let (found, ..) = known.iter().min_by_key(|(name, ..)| distance(name))?;
    (distance(found) <= 1 + wrong.chars().count() / 4).then_some(found)
}

/// Puts spaces in the place of what is in the holes.
fn blank(text: &str, holes: &[Range<usize>]) -> String {
    let inside = |at: usize| holes.iter().any(|hole| hole.contains(&at));
    let put = |(at, sign): (usize, char)| if inside(at) && !matches!(sign, '\n' | '\r') { ' ' } else { sign };
    text.char_indices().map(put).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRONG: &str = "\
groups:
  - name: disk
    intervall: 30s
    limit: many
    rules:
      - alert: A
        exprr: up == 0
      - alert: B
        expr: up == 0
        foor: 5m
        labels: [a, b]
      - record: c
        expr: up
        annotation:
          summary: |
            text
            of two lines
      - 7
      - record: d
  - rules: []
    name: tail
    name: again
group: 1
";

    fn found(text: &str) -> Vec<String> {
        let shape = look(text).unwrap();
        shape.found.iter().map(|one| format!("{}:{}: {}", one.line, one.column, one.reason)).collect()
    }

    #[test]
    fn everything_of_wrong_shape_is_found_with_its_place() {
        assert_eq!(
            found(WRONG),
            [
                "23:1: group: unknown field; did you mean groups?",
                "3:5: group \"disk\": intervall: unknown field; did you mean interval?",
                "4:12: group \"disk\": limit: \"many\" does not fit: a whole number belongs here",
                "7:9: group \"disk\", alert \"A\": exprr: unknown field; did you mean expr?",
                "10:9: group \"disk\", alert \"B\": foor: unknown field; did you mean for?",
                "11:17: group \"disk\", alert \"B\": labels: a table of names and texts belongs here",
                "14:9: group \"disk\", record \"c\": annotation: unknown field; did you mean annotations?",
                "18:9: group \"disk\", rule 4: a table with the fields record, alert, expr, for, keep_firing_for, \
                 labels, annotations belongs here",
                "19:9: group \"disk\", record \"d\": expr: missing",
                "22:5: group \"tail\": name: stands here twice",
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_blanked_out_and_the_rest_stays_at_its_place() {
        let mended = look(WRONG).unwrap().mended.unwrap();
        assert_eq!(mended.len(), WRONG.len());
        for (line, (mended, wrong)) in (1..).zip(mended.lines().zip(WRONG.lines())) {
            let wanted = match line {
                3 | 4 | 6 | 7 | 10 | 11 | 14..=19 | 22 | 23 => "",
                _ => wrong,
            };
            assert_eq!(mended.trim_end(), wanted, "line {line}");
        }
    }

    #[test]
    fn a_good_file_has_nothing_wrong_and_what_is_no_yaml_is_left_to_the_reader() {
        let good = "x: &x { severity: warning }\n";
        assert_eq!(found(good), ["1:1: x: unknown field"]);
        assert_eq!(found("groups:\n  - name: a\n    labels: &x { a: 1 }\n    rules:\n"), [""; 0]);
        assert_eq!(
            found("groups:\n- {name: a, rules: [{<<: *x, alert: b}]}\n".replace("*x", "{}").as_str()),
            [""; 0]
        );
        assert!(look("groups: [").is_none());
        assert!(look(&"[".repeat(100)).is_none());
        assert!(look("groups: 7").unwrap().found[0].reason.contains("a list belongs here"));
    }
}
