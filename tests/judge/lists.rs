//! Lists hold exactly what the judge says yes to, whole or in parts.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use stonetown::engine::{Context, EngineError, Given, View};
use stonetown::eval::{
    EvalError, Holding, ListEnd, ListObjects, ListSubjects, Listed, Resume, list_objects, list_subjects,
};
use stonetown::storage::TupleReader;
use stonetown::tuple::{Object, ObjectRef, Relation, Subject, SubjectRef, Tuple, TupleKey};

use super::generator::World;
use super::model::{Verdict, judge, judge_whoever};
use super::ways::limits;

/// How often the cases that matter occurred.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) object_lists: usize,
    pub(crate) objects: usize,
    pub(crate) subject_lists: usize,
    pub(crate) subjects: usize,
    pub(crate) everybody: usize,
    pub(crate) excluded: usize,
    pub(crate) too_deep: usize,
}

/// What is asked for lists.
pub(crate) enum Asked<'a, 'e> {
    /// A state, under the world's schema.
    State(&'a dyn TupleReader),
    /// A view of a store.
    View(&'a View<'e>),
}

impl Asked<'_, '_> {
    fn objects(
        &self,
        world: &World,
        request: &ListObjects<'_>,
        visit: &mut dyn FnMut(ObjectRef<'_>) -> ControlFlow<()>,
    ) -> Result<Listed, EvalError> {
        match self {
            Asked::State(state) => list_objects(
                &world.program,
                *state,
                request,
                &Context::default(),
                &limits(world.depth_max),
                visit,
            ),
            Asked::View(view) => view.list_objects(request, &Given::default(), visit).map_err(eval_error),
        }
    }

    fn subjects(
        &self,
        world: &World,
        request: &ListSubjects<'_>,
        visit: &mut dyn FnMut(SubjectRef<'_>, Holding) -> ControlFlow<()>,
    ) -> Result<Listed, EvalError> {
        match self {
            Asked::State(state) => list_subjects(
                &world.program,
                *state,
                request,
                &Context::default(),
                &limits(world.depth_max),
                visit,
            ),
            Asked::View(view) => view.list_subjects(request, &Given::default(), visit).map_err(eval_error),
        }
    }
}

fn eval_error(error: EngineError) -> EvalError {
    match error {
        EngineError::Eval(error) => error,
        error => panic!("{error}"),
    }
}

/// A list, and whether it ended in [`EvalError::TooDeep`].
type Outcome<T> = (Vec<T>, bool);

/// Lists the objects of a question's type, for its relation and subject.
pub(crate) fn objects_are_those_that_check_yes(
    world: &World,
    asked: &Asked<'_, '_>,
    question: &TupleKey,
    counts: &mut Counts,
) {
    let verdicts: BTreeMap<String, Verdict> = named_objects(world, question)
        .into_iter()
        .filter(|object| object.object_type() == question.object.object_type())
        .map(|object| (object.id().to_owned(), verdict(world, TupleKey { object, ..question.clone() })))
        .collect();
    let (whole, too_deep) = objects(world, asked, question, usize::MAX);
    let context = || {
        format!(
            "objects of {question}, limit {}\n{}\n{verdicts:#?}\n{:#?}",
            world.depth_max, world.sketch, world.tuples
        )
    };
    let found: BTreeSet<&String> = whole.iter().collect();
    assert_eq!(found.len(), whole.len(), "an object twice: {whole:?}\n{}", context());
    for (id, verdict) in &verdicts {
        assert_eq!(found.contains(id), *verdict == Verdict::Yes, "{id}: {whole:?}\n{}", context());
    }
    assert!(found.iter().all(|id| verdicts.contains_key(*id)), "{whole:?}\n{}", context());
    let any_deep = verdicts.values().any(|verdict| *verdict == Verdict::TooDeep);
    assert!(!too_deep || any_deep, "too deep without need: {}", context());
    for part in [1, 2] {
        assert_eq!(
            objects(world, asked, question, part),
            (whole.clone(), too_deep),
            "parts of {part}: {}",
            context()
        );
    }
    counts.object_lists += 1;
    counts.objects += whole.len();
    counts.too_deep += usize::from(too_deep);
}

/// Lists the subjects of a question's object and relation that are like its subject.
///
/// Beside everybody, whoever holds the relation as everybody does may be called covered, or not be named at all. But who
/// would hold it without any tuple for everybody is named somewhere for it, and has to be listed.
pub(crate) fn subjects_are_those_that_check_yes(
    world: &World,
    asked: &Asked<'_, '_>,
    question: &TupleKey,
    counts: &mut Counts,
) {
    let subject_type = question.subject.subject_type().to_owned();
    let userset = match &question.subject {
        Subject::Userset(_, relation) => Some(relation.clone()),
        _ => None,
    };
    let like = |object: Object| match &userset {
        None => Subject::Object(object),
        Some(relation) => Subject::Userset(object, relation.clone()),
    };
    let verdict_of = |subject: Subject| verdict(world, TupleKey { subject, ..question.clone() });
    let verdicts: BTreeMap<String, Verdict> = named_objects(world, question)
        .into_iter()
        .filter(|object| object.object_type() == subject_type)
        .map(|object| (object.id().to_owned(), verdict_of(like(object))))
        .collect();
    let everybody = match &userset {
        None => Subject::Wildcard(subject_type.clone().into()),
        Some(_) => like(Object::new(&subject_type, "unnamed-anywhere").unwrap()),
    };
    let everybody = TupleKey { subject: everybody, ..question.clone() };
    let everybody = judge_whoever(world.program.schema(), &world.tuples, &everybody, world.depth_max);
    let without_everybody: Vec<Tuple> =
        world.tuples.iter().filter(|it| !matches!(it.key.subject, Subject::Wildcard(_))).cloned().collect();
    let holds_by_name = |id: &str| {
        let subject = like(Object::new(&subject_type, id).unwrap());
        let question = TupleKey { subject, ..question.clone() };
        judge(world.program.schema(), &without_everybody, &question, world.depth_max) == Verdict::Yes
    };
    let list = |part| subjects(world, asked, question, &subject_type, userset.as_ref(), part);
    let (whole, too_deep) = list(usize::MAX);
    let context = || format!("subjects of {question}: {whole:?}\n{}\n{verdicts:#?}", world.sketch);
    let ids: BTreeSet<&Option<String>> = whole.iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), whole.len(), "a subject twice: {}", context());
    let lists_everybody = whole.contains(&(None, Holding::Holds));
    assert_eq!(lists_everybody, everybody == Verdict::Yes, "everybody: {}", context());
    for (id, verdict) in &verdicts {
        let said = whole.iter().find(|(found, _)| found.as_ref() == Some(id)).map(|(_, holding)| *holding);
        let is_right = match (verdict, said) {
            (Verdict::Yes, Some(Holding::Holds)) => true,
            (Verdict::Yes, Some(Holding::Covered) | None) => lists_everybody && !holds_by_name(id),
            (Verdict::No, Some(Holding::Excluded)) => lists_everybody,
            (Verdict::No, None) => !lists_everybody,
            (Verdict::TooDeep, None) => true,
            _ => false,
        };
        assert!(is_right, "{id} is {verdict:?}, said is {said:?}: {}", context());
    }
    let any_deep = everybody == Verdict::TooDeep || verdicts.values().any(|it| *it == Verdict::TooDeep);
    assert!(!too_deep || any_deep, "too deep without need: {}", context());
    for part in [1, 2] {
        assert_eq!(list(part), (whole.clone(), too_deep), "parts of {part}: {}", context());
    }
    counts.subject_lists += 1;
    counts.subjects += whole.len();
    counts.everybody += usize::from(lists_everybody);
    counts.excluded += whole.iter().filter(|(_, holding)| *holding == Holding::Excluded).count();
    counts.too_deep += usize::from(too_deep);
}

fn verdict(world: &World, question: TupleKey) -> Verdict {
    judge(world.program.schema(), &world.tuples, &question, world.depth_max)
}

fn named_objects(world: &World, question: &TupleKey) -> BTreeSet<Object> {
    let mut objects = BTreeSet::new();
    for key in world.tuples.iter().map(|tuple| &tuple.key).chain([question]) {
        objects.insert(key.object.clone());
        if let Subject::Object(object) | Subject::Userset(object, _) = &key.subject {
            objects.insert(object.clone());
        }
    }
    objects
}

/// The ids, listed in parts of so many.
fn objects(world: &World, asked: &Asked<'_, '_>, question: &TupleKey, part: usize) -> Outcome<String> {
    let mut ids = Vec::new();
    let mut after: Option<Resume> = None;
    loop {
        let request = ListObjects {
            object_type: question.object.object_type(),
            relation: question.relation.as_str(),
            subject: question.subject.as_ref(),
            after: after.as_ref(),
            time_max: None,
        };
        let mut left = part;
        let listed = asked.objects(world, &request, &mut |object| {
            ids.push(object.id().to_owned());
            left -= 1;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match listed {
            Ok(listed) if listed.end == ListEnd::Stopped => after = listed.resume,
            other => return (ids, is_too_deep(other)),
        }
    }
}

/// The ids, none for everybody, listed in parts of so many.
fn subjects(
    world: &World,
    asked: &Asked<'_, '_>,
    question: &TupleKey,
    subject_type: &str,
    userset: Option<&Relation>,
    part: usize,
) -> Outcome<(Option<String>, Holding)> {
    let mut found = Vec::new();
    let mut after: Option<Resume> = None;
    loop {
        let request = ListSubjects {
            object: question.object.as_ref(),
            relation: question.relation.as_str(),
            subject_type,
            subject_relation: userset.map(Relation::as_str),
            after: after.as_ref(),
            time_max: None,
        };
        let mut left = part;
        let listed = asked.subjects(world, &request, &mut |subject, holding| {
            let id = match subject.to_owned() {
                Subject::Object(object) | Subject::Userset(object, _) => Some(object.id().to_owned()),
                Subject::Wildcard(_) => None,
            };
            found.push((id, holding));
            left -= 1;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match listed {
            Ok(listed) if listed.end == ListEnd::Stopped => after = listed.resume,
            other => return (found, is_too_deep(other)),
        }
    }
}

fn is_too_deep<T>(outcome: Result<T, EvalError>) -> bool {
    match outcome {
        Ok(_) => false,
        Err(EvalError::TooDeep(_)) => true,
        Err(error) => panic!("{error}"),
    }
}
