//! The type check of an expression, as cel-go makes it: every name known, every call with a fitting overload.
//!
//! Source: the CEL specification's *Gradual Type Checking*. Numbers of different types have an order, but are never equal by
//! `==`, as in OpenFGA. What is `any` is checked when it is evaluated.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use cel::IdedExpr;
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, ListExpr, LiteralValue, MapExpr, SelectExpr, SourceInfo,
    operators,
};

use super::compiled::{Mistake, Parameter};
use super::kind::Kind;

/// Operators and functions with the types that they take and give; a dot marks what is called on a value.
const OVERLOADS: &str = "
_+_ int int int | uint uint uint | double double double | string string string | bytes bytes bytes
_+_ timestamp duration timestamp | duration timestamp timestamp | duration duration duration
_-_ int int int | uint uint uint | double double double
_-_ timestamp timestamp duration | timestamp duration timestamp | duration duration duration
_*_ int int int | uint uint uint | double double double
_/_ int int int | uint uint uint | double double double
_%_ int int int | uint uint uint
-_ int int | double double
!_ bool bool
_&&_ bool bool bool
_||_ bool bool bool
@not_strictly_false bool bool
_<_ bool bool bool | int int bool | uint uint bool | double double bool | string string bool | bytes bytes bool
_<_ timestamp timestamp bool | duration duration bool
_<_ int uint bool | int double bool | uint int bool | uint double bool | double int bool | double uint bool
size string int | bytes int | list int | map int
.size string int | bytes int | list int | map int
.contains string string bool
.startsWith string string bool
.endsWith string string bool
.matches string string bool
matches string string bool
int int int | uint int | double int | string int | timestamp int
uint uint uint | int uint | double uint | string uint
double double double | int double | uint double | string double
string string string | bool string | int string | uint string | double string | bytes string
string timestamp string | duration string
bytes bytes bytes | string bytes
bool bool bool | string bool
duration duration duration | string duration
timestamp timestamp timestamp | string timestamp | int timestamp
dyn any any
type any type
ipaddress string ip
.in_cidr ip string bool
.getFullYear timestamp int | timestamp string int
.getMonth timestamp int | timestamp string int
.getDate timestamp int | timestamp string int
.getDayOfMonth timestamp int | timestamp string int
.getDayOfWeek timestamp int | timestamp string int
.getDayOfYear timestamp int | timestamp string int
.getHours timestamp int | timestamp string int | duration int
.getMinutes timestamp int | timestamp string int | duration int
.getSeconds timestamp int | timestamp string int | duration int
.getMilliseconds timestamp int | timestamp string int | duration int
";

/// What a type is called where it is a value.
const TYPE_NAMES: [&str; 10] =
    ["bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type"];

struct Overload {
    takes: Vec<Kind>,
    gives: Kind,
}

static BY_NAME: LazyLock<HashMap<&str, Vec<Overload>>> = LazyLock::new(|| {
    let mut by_name: HashMap<&str, Vec<Overload>> = HashMap::new();
    for line in OVERLOADS.lines().filter(|line| !line.is_empty()) {
        let (name, overloads) = line.split_once(' ').unwrap_or((line, ""));
        for overload in overloads.split(" | ") {
            let mut takes: Vec<Kind> = overload.split(' ').map(kind).collect();
            let gives = takes.pop().unwrap_or(Kind::Any);
            by_name.entry(name).or_default().push(Overload { takes, gives });
        }
    }
    by_name
});

fn kind(name: &str) -> Kind {
    match name {
        "bool" => Kind::Bool,
        "int" => Kind::Int,
        "uint" => Kind::Uint,
        "double" => Kind::Double,
        "string" => Kind::String,
        "bytes" => Kind::Bytes,
        "duration" => Kind::Duration,
        "timestamp" => Kind::Timestamp,
        "ip" => Kind::Ip,
        "list" => Kind::list(Kind::Any),
        "map" => Kind::map(Kind::Any, Kind::Any),
        "type" => Kind::Type,
        _ => Kind::Any,
    }
}

/// Checks an expression, which has to be a bool, over parameters: what is wrong with it.
///
/// # Errors
/// All of that; else the operators on single values, by their ids: they take one step each.
pub(super) fn check(
    expression: &IdedExpr,
    places: &SourceInfo,
    parameters: &[Parameter],
) -> Result<HashSet<u64>, Vec<Mistake>> {
    let variables = parameters.iter().map(|it| (it.name.to_string(), it.kind.clone())).collect();
    let mut checker = Checker { places, variables, mistakes: Vec::new(), light: HashSet::new() };
    let kind = checker.kind_of(expression);
    if !kind.fits(&Kind::Bool) {
        checker.mistake(expression, format!("the expression is of type {kind}, it has to be a bool"));
    }
    if checker.mistakes.is_empty() { Ok(checker.light) } else { Err(checker.mistakes) }
}

struct Checker<'c> {
    places: &'c SourceInfo,
    /// Parameters, then those of the comprehensions around.
    variables: Vec<(String, Kind)>,
    mistakes: Vec<Mistake>,
    light: HashSet<u64>,
}

impl Checker<'_> {
    fn mistake(&mut self, at: &IdedExpr, message: String) -> Kind {
        let place = self.places.offset_for(at.id).map(|(start, end)| start as usize..end as usize + 1);
        self.mistakes.push(Mistake { place, message });
        Kind::Any
    }

    fn kind_of(&mut self, at: &IdedExpr) -> Kind {
        match &at.expr {
            Expr::Literal(literal) => match literal {
                LiteralValue::Boolean(_) => Kind::Bool,
                LiteralValue::Bytes(_) => Kind::Bytes,
                LiteralValue::Double(_) => Kind::Double,
                LiteralValue::Int(_) => Kind::Int,
                LiteralValue::Null => Kind::Null,
                LiteralValue::String(_) => Kind::String,
                LiteralValue::UInt(_) => Kind::Uint,
            },
            Expr::Ident(name) => match self.variables.iter().rev().find(|(known, _)| known == name) {
                Some((_, kind)) => kind.clone(),
                None if TYPE_NAMES.contains(&&**name) => Kind::Type,
                None => self.mistake(at, format!("`{name}` is not one of the parameters")),
            },
            Expr::Select(select) => self.select(at, select),
            Expr::Call(call) => self.call(at, call),
            Expr::List(list) => self.list(list),
            Expr::Map(map) => self.map(map),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Struct(_) => self.mistake(at, "messages cannot be made here".to_owned()),
            Expr::Unspecified => self.mistake(at, "there is nothing here".to_owned()),
        }
    }

    fn select(&mut self, at: &IdedExpr, select: &SelectExpr) -> Kind {
        let value = match self.kind_of(&select.operand) {
            Kind::Any => Kind::Any,
            Kind::Map(key, value) if key.fits(&Kind::String) => *value,
            kind => {
                let message = format!("`.{}` is asked of a {kind}, which has no fields", select.field);
                self.mistake(at, message)
            }
        };
        if select.test { Kind::Bool } else { value }
    }

    fn list(&mut self, list: &ListExpr) -> Kind {
        let kinds: Vec<Kind> = list.elements.iter().map(|element| self.kind_of(element)).collect();
        Kind::list(joined(kinds))
    }

    fn map(&mut self, map: &MapExpr) -> Kind {
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for entry in &map.entries {
            if let EntryExpr::MapEntry(entry) = &entry.expr {
                keys.push(self.kind_of(&entry.key));
                values.push(self.kind_of(&entry.value));
            }
        }
        Kind::map(joined(keys), joined(values))
    }

    fn comprehension(&mut self, comprehension: &ComprehensionExpr) -> Kind {
        let range = self.kind_of(&comprehension.iter_range);
        let (first, second) = match range {
            Kind::List(of) if comprehension.iter_var2.is_some() => (Kind::Int, *of),
            Kind::List(of) => (*of, Kind::Any),
            Kind::Map(key, value) => (*key, *value),
            Kind::Any => (Kind::Any, Kind::Any),
            kind => {
                let message = format!("a {kind} cannot be gone through: that takes a list or a map");
                (self.mistake(&comprehension.iter_range, message), Kind::Any)
            }
        };
        let outer = self.variables.len();
        let initial = self.kind_of(&comprehension.accu_init);
        self.variables.push((comprehension.accu_var.clone(), initial));
        let inner = self.variables.len();
        self.variables.push((comprehension.iter_var.clone(), first));
        self.variables.extend(comprehension.iter_var2.clone().map(|name| (name, second)));
        self.kind_of(&comprehension.loop_cond);
        let step = self.kind_of(&comprehension.loop_step);
        self.variables.truncate(inner);
        // A list that begins empty is one of what is put into it.
        self.variables[inner - 1].1 = step;
        let result = self.kind_of(&comprehension.result);
        self.variables.truncate(outer);
        result
    }

    fn call(&mut self, at: &IdedExpr, call: &CallExpr) -> Kind {
        let bare = call.func_name.as_str();
        if !is_operator(bare) && !BY_NAME.contains_key(bare) && !BY_NAME.contains_key(&*format!(".{bare}")) {
            // Variables of an unknown macro would only look like further mistakes.
            return self.mistake(at, format!("there is no function `{bare}`"));
        }
        let mut arguments: Vec<&IdedExpr> = call.target.as_deref().into_iter().collect();
        arguments.extend(&call.args);
        let kinds: Vec<Kind> = arguments.iter().map(|argument| self.kind_of(argument)).collect();
        if kinds.iter().all(|kind| !matches!(kind, Kind::Any | Kind::List(_) | Kind::Map(..))) {
            self.light.insert(at.id);
        }
        let name = call.func_name.as_str();
        let found = match (name, kinds.as_slice()) {
            // As in cel-go, these types can be held against null; they never are null.
            (
                operators::EQUALS | operators::NOT_EQUALS,
                [Kind::Duration | Kind::Timestamp | Kind::Ip, Kind::Null]
                | [Kind::Null, Kind::Duration | Kind::Timestamp | Kind::Ip],
            ) => Some(Kind::Bool),
            (operators::EQUALS | operators::NOT_EQUALS, [one, two]) => one.join(two).map(|_| Kind::Bool),
            (operators::CONDITIONAL, [test, one, two]) => one.join(two).filter(|_| test.fits(&Kind::Bool)),
            (operators::IN, [one, Kind::List(of)]) => one.join(of).map(|_| Kind::Bool),
            (operators::IN, [one, Kind::Map(key, _)]) => one.join(key).map(|_| Kind::Bool),
            (operators::IN, [_, Kind::Any]) => Some(Kind::Bool),
            (operators::INDEX, [Kind::List(of), at]) => at.fits(&Kind::Int).then(|| (**of).clone()),
            (operators::INDEX, [Kind::Map(key, value), at]) => at.fits(key).then(|| (**value).clone()),
            (operators::INDEX, [Kind::Any, _]) => Some(Kind::Any),
            (operators::ADD, [Kind::List(_), other @ (Kind::List(_) | Kind::Any)]) => kinds[0].join(other),
            (operators::ADD, [Kind::Any, Kind::List(_)]) => Some(kinds[1].clone()),
            _ => overload(name, call.target.is_some(), &kinds),
        };
        found.unwrap_or_else(|| {
            let message = no_overload(name, call.target.is_some(), &kinds);
            self.mistake(at, message)
        })
    }
}

fn joined(kinds: Vec<Kind>) -> Kind {
    let mut kinds = kinds.into_iter();
    let first = kinds.next().unwrap_or(Kind::Nothing);
    kinds.try_fold(first, |all, kind| all.join(&kind)).unwrap_or(Kind::Any)
}

/// What the fitting overload gives; any, where several fit that give different things.
fn overload(name: &str, is_member: bool, kinds: &[Kind]) -> Option<Kind> {
    let name = match name {
        operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS => operators::LESS,
        name => name,
    };
    let key = if is_member { format!(".{name}") } else { name.to_owned() };
    let fits = |overload: &&Overload| {
        overload.takes.len() == kinds.len()
            && overload.takes.iter().zip(kinds).all(|(wanted, kind)| kind.fits(wanted))
    };
    let mut fitting = BY_NAME.get(&*key)?.iter().filter(fits).map(|overload| &overload.gives);
    let first = fitting.next()?;
    Some(if fitting.all(|other| other == first) { first.clone() } else { Kind::Any })
}

fn is_operator(name: &str) -> bool {
    name.starts_with(['_', '-', '!', '@'])
}

fn no_overload(name: &str, is_member: bool, kinds: &[Kind]) -> String {
    let known = |key: &str| BY_NAME.contains_key(key);
    let texts: Vec<String> = kinds.iter().map(|kind| format!("{kind}")).collect();
    let of = if texts.is_empty() { "nothing".to_owned() } else { texts.join(", ") };
    let bare = name.trim_matches(|c| c == '_' || c == '@');
    if is_operator(name) {
        return format!("`{}` does not take {of}", if bare == "[_]" { "[]" } else { bare });
    }
    match (is_member, known(name), known(&format!(".{name}"))) {
        (false, false, true) => format!("`{name}` is called on a value: write `x.{name}(…)`"),
        (true, true, false) => format!("`{name}` is not called on a value: write `{name}(…)`"),
        _ => format!("`{name}` does not take {of}"),
    }
}
