//! Text to tree: recursive descent, one function per rule of the grammar, its name that of the rule.
//!
//! A line that cannot be read is reported and left behind; what it seemed to mean is kept where that spares the
//! reader a second message about the same mistake.

mod condition;
mod cursor;
mod expression;
mod restriction;
pub(super) mod words;

use std::collections::HashSet;
use std::sync::Arc;

use super::code::ProblemCode;
use super::layout;
use super::lex::{self, Kind};
use super::limits::Limits;
use super::problem::{Problem, Problems};
use super::source::{At, Source, Span};
use super::tree::{Header, Metadata, Name, RelationDefinition, Tree, Trivia, TypeDefinition};
use cursor::Parser;
use expression::Definition;
use words::{NameKind, Opening};

impl Tree {
    /// Reads a schema text, or that of one file of a modular schema, or says everything that is wrong with its form.
    /// What it says is not looked at: for that, see [`read_schema`](super::read_schema) and [`Schema::resolve`](super::Schema::resolve).
    pub fn parse(source_name: &str, text: &str) -> Result<Tree, Problems> {
        let Parsed { tree, problems, .. } = parse(source_name, text, &Limits::default());
        match problems.is_empty() {
            true => Ok(tree),
            false => Err(Problems::new(tree.source, problems)),
        }
    }
}

/// What could be read of a text. The tree is whole only when there are no problems.
pub(super) struct Parsed {
    pub(super) tree: Tree,
    pub(super) problems: Vec<Problem>,
    /// Words of lines that could not be read: they may have defined something.
    pub(super) unread: HashSet<Box<str>>,
}

/// Reads what can be read of a text.
pub(super) fn parse(source_name: &str, text: &str, limits: &Limits) -> Parsed {
    let mut tree = Tree::empty("1.1");
    tree.source = Arc::new(Source::new(source_name, text));
    if text.len() > limits.text_bytes_max {
        let message =
            format!("the schema has {} bytes; at most {} are read", text.len(), limits.text_bytes_max);
        let at = At::from(Span::new(0, 0));
        let problems = vec![Problem::new(ProblemCode::TextTooLarge, &at, message)];
        return Parsed { tree, problems, unread: HashSet::new() };
    }
    let mut parser = Parser::new(text, lex::lex(text), limits);
    parser.file(&mut tree, false);
    layout::normalise(&mut tree);
    Parsed { tree, problems: parser.problems, unread: parser.unread }
}

/// Reads one file of a modular schema: what stands in a text from one of its bytes on. Problems found before are
/// among those that come back, and count.
pub(super) fn parse_module(text: &str, start: usize, limits: &Limits, found: Vec<Problem>) -> Parsed {
    let mut tree = Tree::empty("1.2");
    let mut parser = Parser::new(text, lex::lex_from(text, start), limits);
    parser.problems = found;
    parser.file(&mut tree, true);
    Parsed { tree, problems: parser.problems, unread: parser.unread }
}

const OPENING_HELP: &str = "a line begins with `type`, `relations`, `define` or `condition`";
const EXTEND_HELP: &str = "write the type once, as a whole; or begin each file with `module NAME` and list them in a file `fga.mod`";
const RELATIONS_HELP: &str = "write `  relations` on the line before the first `define`";
const MODULE_HELP: &str = "begin the file with `module NAME`; the version is in `fga.mod`";
const SECOND_MODULE_HELP: &str = "put what follows into a file of its own, and list that in `fga.mod`";

/// What stands below a type.
#[derive(Default)]
struct Relations {
    /// Whether there was a line `relations`, or its absence has been reported.
    has_line: bool,
    trivia: Trivia,
    list: Vec<RelationDefinition>,
}

impl Parser<'_> {
    /// `file = header {typedef} {condition}`
    fn file(&mut self, tree: &mut Tree, has_to_be_module: bool) {
        self.newline();
        let base = self.indent();
        self.header(&mut tree.header, has_to_be_module);
        let in_module = has_to_be_module || tree.header.module.is_some();
        while !self.at_end() {
            let opening = self.opening();
            if opening.meant() != Opening::Condition || tree.conditions.is_empty() {
                self.leave_tail(tree);
            }
            match opening.meant() {
                Opening::Type | Opening::Extend => {
                    if let Some(condition) = tree.conditions.last() {
                        let message = "types cannot stand after conditions";
                        let problem =
                            Problem::spanned(ProblemCode::MisplacedLine, self.rest_of_line(), message)
                                .also(&condition.name.at, "this condition comes before it")
                                .help("move the type above all conditions");
                        self.report(problem);
                    }
                    let typedef = self.typedef(opening, in_module);
                    tree.types.extend(typedef);
                }
                Opening::Condition => {
                    let condition = self.condition(opening);
                    tree.conditions.extend(condition);
                }
                Opening::Unknown if self.at_unknown_type() => {
                    let typedef = self.typedef(Opening::Almost("type"), in_module);
                    tree.types.extend(typedef);
                }
                _ => self.misplaced_line(opening),
            }
        }
        let conditions = !tree.conditions.is_empty();
        let tail = if conditions { Vec::new() } else { self.tail(base) };
        tail_of_last(tree).extend(tail);
        tree.tail = self.lead().comments;
    }

    /// Leaves the indented comments before this line to what stands above it.
    fn leave_tail(&mut self, tree: &mut Tree) {
        let indent = self.indent();
        let tail = self.tail(indent);
        tail_of_last(tree).extend(tail);
    }

    /// `header = "model" NL "schema" VERSION | "module" name`
    fn header(&mut self, header: &mut Header, has_to_be_module: bool) {
        header.model_trivia = self.lead();
        let opening = match self.opening() {
            // Only a module has a name.
            Opening::Almost("model") if self.ahead(1).kind == Kind::Word && !self.word_ahead(1, "schema") => {
                Opening::Almost("module")
            }
            opening => opening,
        };
        if has_to_be_module && opening.meant() != Opening::Module {
            let message = format!("a file of a modular schema begins with `module`, found {}", self.found());
            let problem = Problem::spanned(ProblemCode::NotAModule, self.token().span, message);
            self.report(problem.help(MODULE_HELP));
        }
        match opening.meant() {
            Opening::Module => return self.module(header, opening),
            Opening::Model => {
                self.keyword(opening);
                header.model_trivia.trailing = match self.at_word("schema") {
                    true => self.joined_line("`model`", "schema"),
                    false => self.end_of_line("`model`"),
                };
            }
            opening => {
                if !has_to_be_module {
                    let message = format!("a schema begins with `model`, found {}", self.found());
                    let problem = Problem::spanned(ProblemCode::MissingHeader, self.token().span, message);
                    self.report(problem.help("begin with the lines `model` and `  schema 1.1`"));
                }
                if opening != Opening::Schema {
                    return;
                }
            }
        }
        self.schema(header);
    }

    /// `"module" name`
    fn module(&mut self, header: &mut Header, opening: Opening) {
        self.keyword(opening);
        let at = At::from(self.token().span);
        let name = self.name(NameKind::Module);
        if name.is_none() {
            self.skip_line();
        }
        header.module = name.or_else(|| Some(Name::new("", at.clone())));
        header.version = Name::new("1.2", at);
        header.model_trivia.trailing = self.end_of_line("the name of the module");
    }

    /// `"schema" VERSION`
    fn schema(&mut self, header: &mut Header) {
        header.schema_trivia = self.lead();
        let opening = self.opening();
        let first = self.text_of(self.token());
        if opening.meant() != Opening::Schema {
            let message = format!("the line after `model` has to be `schema 1.1`, found {}", self.found());
            let span = self.token().span;
            self.report_at(ProblemCode::MissingSchemaVersion, span, message);
            if first.starts_with("schema") {
                self.skip_line();
                self.newline();
            }
            return;
        }
        self.keyword(opening);
        let token = self.token();
        let version = self.text_of(token);
        if token.kind == Kind::Number && is_version(version) {
            self.bump();
            header.version = Name::new(version, At::from(token.span));
            header.schema_trivia.trailing = self.end_of_line("the version");
            return;
        }
        let message = format!("expected a version of the language, found {}", self.found());
        let problem = Problem::spanned(ProblemCode::MissingSchemaVersion, token.span, message);
        self.report(problem.help("write `schema 1.1`"));
        self.skip_line();
        self.newline();
    }

    /// `typedef = ["extend"] "type" name [NL "relations" relation {relation}]`
    fn typedef(&mut self, opening: Opening, in_module: bool) -> Option<TypeDefinition> {
        let mut trivia = self.lead();
        let extends = opening.meant() == Opening::Extend;
        if !extends {
            self.keyword(opening);
        } else if !self.extend(opening, in_module) {
            return None;
        }
        let name = self.name(NameKind::Type);
        if name.is_none() {
            self.skip_line();
        }
        let mut relations = Relations::default();
        if self.at_word("relations") {
            trivia.trailing = self.joined_line("its type", "relations");
            relations.has_line = true;
            relations.trivia.trailing = self.after_relations();
        } else {
            trivia.trailing = self.end_of_line("the name of the type");
        }
        self.relations(&mut relations);
        let Relations { trivia: relations_trivia, list: relations, .. } = relations;
        if extends && !in_module {
            self.unread.extend(relations.into_iter().map(|relation| relation.name.text));
            return None;
        }
        let metadata = (!relations.is_empty()).then(Metadata::default);
        let (name, tail) = (name?, Vec::new());
        Some(TypeDefinition { extends, name, relations, trivia, relations_trivia, tail, metadata })
    }

    /// `"extend" "type"`, which a whole schema cannot have. Whether a name may follow.
    fn extend(&mut self, opening: Opening, in_module: bool) -> bool {
        if !in_module {
            let message = "`extend` can only be used in a module";
            let problem = Problem::spanned(ProblemCode::ExtendOutsideModule, self.token().span, message);
            self.report(problem.help(EXTEND_HELP));
        }
        self.keyword(opening);
        let opening = self.opening();
        let is_last = !matches!(self.ahead(1).kind, Kind::Word | Kind::Number);
        if opening == Opening::Type || opening == Opening::Almost("type") && !is_last {
            self.keyword(opening);
            return true;
        }
        if in_module {
            let message = format!("expected `type` after `extend`, found {}", self.found());
            let problem = Problem::spanned(ProblemCode::MisplacedLine, self.token().span, message);
            self.report(problem.help("write `extend type NAME`"));
            if self.kind() == Kind::Word && is_last {
                return true;
            }
        }
        self.leave_line_unread();
        self.newline();
        false
    }

    /// `"relations" relation {relation}`
    fn relations(&mut self, relations: &mut Relations) {
        loop {
            let opening = self.opening();
            match opening.meant() {
                Opening::Relations if !relations.has_line && relations.list.is_empty() => {
                    relations.has_line = true;
                    relations.trivia = self.lead();
                    self.keyword(opening);
                    relations.trivia.trailing = self.after_relations();
                }
                Opening::Define => {
                    if !relations.has_line {
                        relations.has_line = true;
                        let message = "`define` without a line `relations` before it";
                        let problem =
                            Problem::spanned(ProblemCode::MissingRelations, self.token().span, message);
                        self.report(problem.help(RELATIONS_HELP));
                    }
                    let relation = self.relation(opening);
                    relations.list.extend(relation);
                }
                Opening::Unknown if self.at_end() || self.at_unknown_type() => return,
                Opening::Relations | Opening::Unknown => self.misplaced_line(opening),
                _ => return,
            }
        }
    }

    /// What follows the word `relations`: the end of the line, then a definition.
    fn after_relations(&mut self) -> Option<String> {
        let span = self.behind().span;
        let trailing = self.end_of_line("`relations`");
        if self.opening().meant() != Opening::Define && self.opening() != Opening::Unknown || self.at_end() {
            let message = "`relations` without a `define` after it";
            let problem = Problem::spanned(ProblemCode::EmptyRelations, span, message);
            self.report(problem.help("define a relation, or leave `relations` out"));
        }
        trailing
    }

    /// `relation = "define" name ":" def`
    fn relation(&mut self, opening: Opening) -> Option<RelationDefinition> {
        let mut trivia = self.lead();
        let problems_before = self.problems.len();
        self.keyword(opening);
        let Some(name) = self.name(NameKind::Relation) else {
            self.skip_line();
            self.newline();
            return None;
        };
        let definition = match self.colon(&name) {
            true => self.def(),
            false => Definition::nothing(&name.at),
        };
        trivia.trailing = match self.problems.len() == problems_before {
            true => self.end_of_definition(),
            false => {
                self.skip_line();
                self.newline()
            }
        };
        let mut relation = RelationDefinition::new(name, definition.expression, definition.restrictions);
        relation.restrictions_tail = definition.restrictions_tail;
        relation.trivia = trivia;
        relation.broken = self.problems.len() > problems_before;
        Some(relation)
    }

    /// Goes over the `:`. Without one, whether a definition seems to follow all the same.
    fn colon(&mut self, name: &Name) -> bool {
        if self.take(Kind::Colon).is_some() {
            return true;
        }
        let message = format!("expected `:` after `{}`, found {}", name.text, self.found());
        let old = self.at_word("as");
        let help = match old {
            true => {
                "`as` and `self` belong to schema 1.0; write `define viewer: [user] or editor`".to_string()
            }
            false => format!("write `define {}: …`", name.text),
        };
        let problem = Problem::spanned(ProblemCode::MissingColon, self.token().span, message).help(help);
        self.report(problem);
        !old && !self.at_line_end()
    }

    /// Two words, and `relations` on the next line: whatever the first word is, `type` was meant.
    fn at_unknown_type(&self) -> bool {
        let kinds = [self.kind(), self.ahead(1).kind, self.ahead(2).kind];
        matches!(kinds, [Kind::Word, Kind::Word, Kind::Newline(_)]) && self.word_ahead(3, "relations")
    }

    /// How the line at hand begins.
    fn opening(&self) -> Opening {
        match self.kind() {
            Kind::Word => Opening::of(self.text_of(self.token())),
            _ => Opening::Unknown,
        }
    }

    /// Goes over the keyword of a line, and reports it when it is only almost one.
    fn keyword(&mut self, opening: Opening) {
        if let Opening::Almost(keyword) = opening {
            let message = format!("unknown keyword {}", self.found());
            let problem = Problem::spanned(ProblemCode::UnknownKeyword, self.token().span, message);
            self.report(problem.help(format!("did you mean `{keyword}`?")));
        }
        self.bump();
    }

    /// Two lines written as one: goes on as if they were two.
    fn joined_line(&mut self, first: &str, second: &str) -> Option<String> {
        let message = format!("`{second}` cannot stand on the line of {first}");
        let problem = Problem::spanned(ProblemCode::UnexpectedText, self.token().span, message);
        self.report(problem.help(format!("begin a new line before `{second}`")));
        if second != "schema" {
            self.bump();
        }
        None
    }

    /// A line that cannot stand where it does.
    fn misplaced_line(&mut self, opening: Opening) {
        let problem = match opening {
            Opening::Unknown | Opening::Almost(_) => {
                let message = format!("a line cannot begin with {}", self.found());
                Problem::spanned(ProblemCode::UnknownKeyword, self.token().span, message).help(OPENING_HELP)
            }
            Opening::Module => {
                let message = "`module` can only begin a file";
                Problem::spanned(ProblemCode::MisplacedLine, self.rest_of_line(), message)
                    .help(SECOND_MODULE_HELP)
            }
            Opening::Relations | Opening::Define => {
                let message = format!("{} cannot stand here", self.found());
                Problem::spanned(ProblemCode::MisplacedLine, self.token().span, message)
                    .help("relations are defined below their type: `type`, then `relations`, then `define`")
            }
            _ => {
                let message = format!("{} can only begin a schema", self.found());
                Problem::spanned(ProblemCode::MisplacedLine, self.rest_of_line(), message)
                    .help("leave the line out")
            }
        };
        self.report(problem);
        self.leave_line_unread();
        self.newline();
        self.lead();
    }
}

/// Where an indented comment below the last line belongs.
fn tail_of_last(tree: &mut Tree) -> &mut Vec<super::tree::Comment> {
    match tree.types.last_mut() {
        Some(last) => &mut last.tail,
        None => &mut tree.header.tail,
    }
}

/// Digits, a dot, digits.
pub(super) fn is_version(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('.').is_some_and(|(major, minor)| digits(major) && digits(minor))
}
