//! Searches: which subjects, resources or actions would be allowed. Results are sorted, and every part of a search is of
//! one state. Unknown types, actions and ids are allowed nothing, so they find nothing.

use std::ops::ControlFlow;

use axum::body::Body as ResponseBody;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::app::{Answer, App, Budget};
use super::super::error::{ApiError, Code};
use super::super::held::Held;
use super::super::load::Class;
use super::super::page::{Kind, Pages};
use super::super::routes::Body;
use super::page::Part;
use super::wire::{Fields, Question};
use super::{error_json, named_schema, open, read, refusal};
use crate::engine::{
    BatchItem, EngineError, EvalError, Holding, ListObjects, ListSubjects, Listed, Resume, View,
};
use crate::tuple::{SubjectRef, TupleRef};

pub(in super::super) async fn search_subject(
    app: State<App>,
    store: Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response<ResponseBody> {
    search(app, store, headers, body, &Search { kind: Kind::SubjectSearch, find: subjects }).await
}

pub(in super::super) async fn search_resource(
    app: State<App>,
    store: Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response<ResponseBody> {
    search(app, store, headers, body, &Search { kind: Kind::ResourceSearch, find: resources }).await
}

pub(in super::super) async fn search_action(
    app: State<App>,
    store: Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response<ResponseBody> {
    search(app, store, headers, body, &Search { kind: Kind::ActionSearch, find: actions }).await
}

/// What is searched, and how.
struct Search {
    kind: Kind,
    find: fn(&View<'_>, &Question, &Part) -> Result<Found, ApiError>,
}

/// What was found of one part.
#[derive(Default)]
struct Found {
    /// Of what is found; none: actions.
    type_name: Option<String>,
    /// Sorted.
    names: Vec<String>,
    /// Where it goes on; none: there is no more. Within: nothing has been answered yet.
    next: Option<Option<Resume>>,
    context: Map<String, Value>,
}

async fn search(
    State(app): State<App>,
    Path(store): Path<String>,
    headers: HeaderMap,
    body: Body,
    search: &'static Search,
) -> Response<ResponseBody> {
    app.run(Class::List, Some(store), move |app, store| {
        Ok(answer(app, store, &headers, &body, search).unwrap_or_else(|error| refusal(&error)))
    })
    .await
}

fn answer(
    app: &App,
    store: &str,
    headers: &HeaderMap,
    body: &Body,
    search: &Search,
) -> Result<Answer, ApiError> {
    let mut fields = Fields::of(read(headers, body)?);
    let mut question = Question::read(&mut fields)?;
    if search.kind == Kind::ActionSearch {
        question = question.without_action();
    }
    search.look_at(&question)?;
    let of = [Kind::SubjectSearch, Kind::ActionSearch, Kind::ResourceSearch].map(|kind| kind == search.kind);
    let pages = Pages::of(search.kind, &[&app.life(store), named_schema(headers)?, &question.text(of)]);
    let part = Part::read(&mut fields, pages, app.limits.answer_bytes_max)?;
    let view =
        open(app, store, headers, part.state.as_ref(), Budget::Whole)?.ok_or_else(ApiError::internal)?;
    let found = (search.find)(&view, &question, &part).map_err(|error| error.under(view.schema()))?;
    let next = found.next.as_ref().map(|after| part.token(app, &view, after.as_ref()));
    Ok(Answer::json(&found.reply(next.unwrap_or_default())).of_view(app, &view))
}

impl Search {
    /// Whether everything is there that this search needs.
    fn look_at(&self, question: &Question) -> Result<(), ApiError> {
        match self.kind {
            Kind::SubjectSearch => {
                question.subject_type()?;
                question.relation()?;
                question.object()?;
            }
            Kind::ResourceSearch => {
                question.subject()?;
                question.relation()?;
                question.object_type()?;
            }
            _ => {
                question.subject()?;
                question.object()?;
            }
        }
        Ok(())
    }
}

/// The names of one part as they are found: as many as are wanted, and whether there are more.
struct Names {
    names: Vec<String>,
    limit: Option<u64>,
    is_more: bool,
    held: Held,
}

/// What to send for a search in pages.
const FOR_PAGES: &str = "send `page.limit` for pages of it";
/// What a name takes in memory beside its text.
const NAME_BYTES: usize = size_of::<String>();

impl Names {
    fn of(part: &Part) -> Names {
        Names { names: Vec::new(), limit: part.limit, is_more: false, held: Held::new(part.bytes_max) }
    }

    fn push(&mut self, name: &str) -> ControlFlow<()> {
        if self.limit.is_some_and(|limit| self.names.len() as u64 >= limit) {
            self.is_more = true;
            return ControlFlow::Break(());
        }
        self.names.push(name.to_owned());
        self.held.take(NAME_BYTES + name.len())
    }

    /// Where it goes on behind the last of them.
    ///
    /// # Errors
    /// The names take more than they may.
    fn next(&self, part: &Part, too_deep: bool) -> Result<Option<Option<Resume>>, ApiError> {
        self.held.finish(FOR_PAGES)?;
        let after = |last: &String| Resume { last: last.as_str().into(), too_deep };
        Ok(self.is_more.then(|| self.names.last().map(after).or_else(|| part.after.clone())))
    }
}

/// Who of a type may do it: all who are named on the way. That everybody else may too is said beside them.
fn subjects(view: &View<'_>, question: &Question, part: &Part) -> Result<Found, ApiError> {
    let (object, relation) = (question.object()?, question.relation()?);
    let request = ListSubjects {
        object: object.as_ref(),
        relation,
        subject_type: question.subject_type()?,
        subject_relation: None,
        after: part.after.as_ref(),
        time_max: None,
    };
    let (mut names, mut everybody) = (Names::of(part), false);
    let listed = view.list_subjects(&request, &question.given(), &mut |subject, holding| match subject {
        SubjectRef::Object(object) if holding != Holding::Excluded => names.push(object.id()),
        SubjectRef::Wildcard(_) => {
            everybody = true;
            ControlFlow::Continue(())
        }
        SubjectRef::Object(_) | SubjectRef::Userset(..) => ControlFlow::Continue(()),
    });
    let Some(listed) = unless_unknown(listed)? else { return Ok(Found::default()) };
    let mut context = Map::new();
    if everybody {
        context.insert("everybody".to_owned(), Value::Bool(true));
    }
    let next = names.next(part, is_too_deep(&listed))?;
    let type_name = Some(request.subject_type.to_owned());
    Ok(Found { type_name, next, names: names.names, context })
}

/// What of a type the subject may do it with.
fn resources(view: &View<'_>, question: &Question, part: &Part) -> Result<Found, ApiError> {
    let (object_type, relation, subject) =
        (question.object_type()?, question.relation()?, question.subject()?);
    let is_sorted = view.lists_sorted(object_type, relation);
    let Some(is_sorted) = unless_unknown(is_sorted)? else { return Ok(Found::default()) };
    let request = ListObjects {
        object_type,
        relation,
        subject: subject.as_ref(),
        after: part.after.as_ref().filter(|_| is_sorted),
        time_max: None,
    };
    let (mut names, mut all, mut held) = (Names::of(part), Vec::new(), Held::new(part.bytes_max));
    let listed = view.list_objects(&request, &question.given(), &mut |object| {
        if is_sorted {
            return names.push(object.id());
        }
        all.push(object.id().to_owned());
        held.take(NAME_BYTES + object.id().len())
    });
    let Some(listed) = unless_unknown(listed)? else { return Ok(Found::default()) };
    held.finish("they have to be sorted as a whole; ask list-objects for parts, or a stream")?;
    // Found in the order of the walk, which has to be made anew for each part.
    all.sort_unstable();
    let last = part.after.as_ref().map_or("", |after| &*after.last);
    let _ = all.iter().filter(|id| id.as_str() > last).try_for_each(|id| names.push(id));
    let next = names.next(part, is_too_deep(&listed))?;
    Ok(Found { type_name: Some(object_type.to_owned()), next, names: names.names, context: Map::new() })
}

/// What the subject may do with the resource: every relation of its type that checks yes. Of those that cannot be decided
/// (an action's properties are not known here) is said why.
fn actions(view: &View<'_>, question: &Question, part: &Part) -> Result<Found, ApiError> {
    let (subject, object, given) = (question.subject()?, question.object()?, question.given());
    let last = part.after.as_ref().map_or("", |after| &*after.last);
    let relations = view.relations(object.object_type()).unwrap_or_default();
    let relations: Vec<&str> = relations.into_iter().filter(|name| *name > last).collect();
    let check = |relation: &&str| BatchItem {
        tuple: TupleRef { object: object.as_ref(), relation, subject: subject.as_ref() }.to_owned(),
        given: given.clone(),
    };
    let checks: Vec<BatchItem> = relations.iter().map(check).collect();
    let (mut names, mut undecided) = (Names::of(part), Vec::new());
    for (name, answer) in relations.iter().zip(view.batch_check(&checks)) {
        let allowed = match unless_unknown(answer) {
            Ok(allowed) => allowed.unwrap_or(false),
            Err(error) if error.code == Code::Internal => return Err(error),
            Err(error) => {
                undecided.push((*name, error));
                false
            }
        };
        if allowed && names.push(name).is_break() {
            break;
        }
    }
    if names.is_more {
        // The next part tells of what lies behind this one.
        let end = names.names.last().map_or(last, String::as_str);
        undecided.retain(|(name, _)| *name <= end);
    }
    let mut context = Map::new();
    if !undecided.is_empty() {
        let told = undecided.iter().map(|(name, error)| json!({ "name": name, "error": error_json(error) }));
        context.insert("undecided".to_owned(), told.collect());
    }
    Ok(Found { type_name: None, next: names.next(part, false)?, names: names.names, context })
}

fn is_too_deep(listed: &Listed) -> bool {
    listed.resume.as_ref().is_some_and(|resume| resume.too_deep)
}

/// None: the schema does not have a name that was asked about.
fn unless_unknown<T>(answer: Result<T, EngineError>) -> Result<Option<T>, ApiError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(EngineError::Eval(EvalError::UnknownType { .. } | EvalError::UnknownRelation { .. })) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The answer to a search. The page comes first, as AuthZEN recommends.
#[derive(Serialize)]
struct Reply<'f> {
    page: Page,
    #[serde(skip_serializing_if = "Map::is_empty")]
    context: &'f Map<String, Value>,
    results: Vec<One<'f>>,
}

#[derive(Serialize)]
struct Page {
    next_token: String,
    count: usize,
}

#[derive(Serialize)]
#[serde(untagged)]
enum One<'f> {
    Entity {
        #[serde(rename = "type")]
        type_name: &'f str,
        id: &'f str,
    },
    Action {
        name: &'f str,
    },
}

impl Found {
    fn reply(&self, next_token: String) -> Reply<'_> {
        let one = |name| match self.type_name.as_deref() {
            Some(type_name) => One::Entity { type_name, id: name },
            None => One::Action { name },
        };
        let results: Vec<One<'_>> = self.names.iter().map(|name| one(name)).collect();
        Reply { page: Page { next_token, count: results.len() }, context: &self.context, results }
    }
}
