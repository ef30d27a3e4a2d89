//! Problems for people and for tools: with the source line and a caret, as one line each, as JSON.

use std::fmt;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};
use serde_json::{Value, json};

use super::problem::{Problem, Problems, Severity};
use super::source::{Place, Source, Span};

impl Problems {
    /// Every problem with its source line, a caret under the place and what would be right.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.decor_style(DecorStyle::Ascii);
        let texts: Vec<String> =
            self.iter().map(|problem| render_problem(&renderer, self.source(), problem)).collect();
        texts.join("\n\n")
    }

    /// Every problem in one line: `file:line:col: code: message; help`.
    pub fn plain(&self) -> String {
        let lines: Vec<String> = self.iter().map(|problem| problem.plain(self.source())).collect();
        lines.join("\n")
    }

    /// The problems as a JSON array.
    pub fn to_json(&self) -> Value {
        Value::Array(self.iter().map(|problem| problem.to_json(self.source())).collect())
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.plain())
    }
}

impl Problem {
    /// One line: `file:line:col: code: message; help`.
    pub fn plain(&self, source: &Source) -> String {
        let place = place_text(source, &self.place);
        let help = self.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        let severity = match self.severity {
            Severity::Error => "",
            Severity::Warning => "warning: ",
        };
        format!("{place}: {severity}{}: {}{help}", self.code, self.message)
    }

    /// As JSON, for tools.
    pub fn to_json(&self, source: &Source) -> Value {
        let others: Vec<Value> = self
            .others
            .iter()
            .map(|other| json!({"place": place_json(source, &other.place), "text": other.text}))
            .collect();
        json!({
            "code": self.code.as_str(),
            "severity": match self.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            "message": self.message,
            "place": place_json(source, &self.place),
            "label": self.label,
            "others": others,
            "help": self.help,
        })
    }
}

fn place_text(source: &Source, place: &Place) -> String {
    match place {
        Place::Span(span) => {
            let (name, _) = source.file_of(span.start);
            let position = source.position(span.start);
            format!("{name}:{}:{}", position.line, position.column)
        }
        Place::Path(path) if path.is_empty() => source.name().to_string(),
        Place::Path(path) => format!("{}: {path}", source.name()),
    }
}

fn place_json(source: &Source, place: &Place) -> Value {
    match place {
        Place::Span(span) => {
            let (name, file) = source.file_of(span.start);
            let (start, end) = (source.position(span.start), source.position(span.end));
            json!({
                "source": name,
                "line": start.line,
                "column": start.column,
                "end_line": end.line,
                "end_column": end.column,
                "start": span.start - file.start,
                "end": span.end - file.start,
            })
        }
        Place::Path(path) => json!({"source": source.name(), "path": &**path}),
    }
}

fn render_problem(renderer: &Renderer, source: &Source, problem: &Problem) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(&problem.message).id(problem.code.as_str());
    let mut group = match &problem.place {
        Place::Path(_) => title.element(Origin::path(place_text(source, &problem.place))),
        Place::Span(span) if source.lines_around(*span).0.len() > SHOWN_BYTES_MAX => {
            let position = source.position(span.start);
            let (name, _) = source.file_of(span.start);
            title.element(Origin::path(name).line(position.line).char_column(position.column))
        }
        Place::Span(span) => title.elements(snippets(source, *span, problem)),
    };
    for other in &problem.others {
        if let Place::Path(_) = other.place {
            let text = format!("{}: {}", place_text(source, &other.place), other.text);
            group = group.element(Level::NOTE.message(text));
        }
    }
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(help));
    }
    renderer.render(&[group])
}

/// The lines of the problem, then those of its other places. Each is cut out of the text, so that rendering many
/// problems of a long text stays cheap; places on the same or the next lines share one cut.
fn snippets<'a>(source: &'a Source, span: Span, problem: &'a Problem) -> Vec<Snippet<'a, Annotated<'a>>> {
    let mut cuts = vec![Cut::around(source, span)];
    let primary = AnnotationKind::Primary;
    cuts[0].add(primary, span, problem.label.as_deref());
    for other in &problem.others {
        let Some(other_span) = other.place.span() else { continue };
        if source.lines_around(other_span).0.len() > SHOWN_BYTES_MAX {
            continue;
        }
        let at = cuts.iter().position(|cut| cut.touches(source, other_span));
        let cut = match at {
            Some(at) => &mut cuts[at],
            None => {
                cuts.push(Cut::around(source, other_span));
                match cuts.last_mut() {
                    Some(cut) => cut,
                    None => continue,
                }
            }
        };
        cut.widen(source, other_span);
        cut.add(AnnotationKind::Context, other_span, Some(&other.text));
    }
    cuts.into_iter().map(|cut| cut.snippet(source)).collect()
}

type Annotated<'a> = annotate_snippets::Annotation<'a>;

struct Cut<'a> {
    file_name: &'a str,
    lines: std::ops::Range<usize>,
    line_number: usize,
    marks: Vec<(AnnotationKind, Span, Option<&'a str>)>,
}

/// Lines longer than this are not shown.
const SHOWN_BYTES_MAX: usize = 2000;
/// Places at most this many lines apart are shown together.
const LINES_TOGETHER_MAX: usize = 6;

impl<'a> Cut<'a> {
    fn around(source: &'a Source, span: Span) -> Cut<'a> {
        let (file_name, _) = source.file_of(span.start);
        let (lines, line_number) = source.lines_around(span);
        Cut { file_name, lines, line_number, marks: Vec::new() }
    }

    fn touches(&self, source: &Source, span: Span) -> bool {
        let (_, file) = source.file_of(span.start);
        let (_, line_number) = source.lines_around(span);
        (file.start..=file.end).contains(&self.lines.start)
            && line_number.abs_diff(self.line_number) < LINES_TOGETHER_MAX
    }

    fn widen(&mut self, source: &Source, span: Span) {
        let (lines, line_number) = source.lines_around(span);
        self.lines = lines.start.min(self.lines.start)..lines.end.max(self.lines.end);
        self.line_number = self.line_number.min(line_number);
    }

    fn add(&mut self, kind: AnnotationKind, span: Span, text: Option<&'a str>) {
        self.marks.push((kind, span, text));
    }

    fn snippet(self, source: &'a Source) -> Snippet<'a, Annotated<'a>> {
        let Cut { file_name, lines, line_number, marks } = self;
        let start = lines.start;
        let annotations = marks.into_iter().map(|(kind, span, text)| {
            kind.span(span.start - start..span.end.max(span.start) - start).label(text)
        });
        Snippet::source(&source.text()[lines])
            .line_start(line_number)
            .path(file_name)
            .annotations(annotations)
    }
}
