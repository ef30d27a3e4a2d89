//! OpenFGA's `.fga.yaml` store tests: the file, and running it.
//!
//! Every test has a state of its own: its tuples laid over nothing. Lists are answered by asking a check for each
//! candidate, which is slow and right.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::read_schema_file;
use crate::bulk::{TupleJson, read_tuples};
use crate::condition::Context;
use crate::engine::admit_stored;
use crate::eval::{self, EvalError, Limits, Program};
use crate::schema::{Problems, Schema, read_schema};
use crate::storage::{Empty, Overlay, TupleFilter, TupleReader};
use crate::tuple::{Object, Relation, Subject, Timestamp, Tuple, TupleRef};

/// A store test file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoreTest {
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    model_file: Option<PathBuf>,
    #[serde(default)]
    tuples: Vec<TupleJson>,
    #[serde(default)]
    tuple_file: Option<PathBuf>,
    #[serde(default)]
    tuple_files: Vec<PathBuf>,
    #[serde(default)]
    tests: Vec<Test>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    #[serde(default)]
    name: String,
    #[serde(default, rename = "description")]
    _description: Option<String>,
    #[serde(default)]
    tuples: Vec<TupleJson>,
    #[serde(default)]
    tuple_file: Option<PathBuf>,
    #[serde(default)]
    tuple_files: Vec<PathBuf>,
    #[serde(default)]
    check: Vec<CheckTest>,
    #[serde(default)]
    list_objects: Vec<ListObjectsTest>,
    #[serde(default)]
    list_users: Vec<ListUsersTest>,
}

/// `user` or several `users`, `object` or several `objects`: every pair is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckTest {
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    users: Vec<String>,
    #[serde(default)]
    object: Option<String>,
    #[serde(default)]
    objects: Vec<String>,
    #[serde(default)]
    context: Option<serde_json::Value>,
    assertions: BTreeMap<String, bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListObjectsTest {
    user: String,
    #[serde(rename = "type")]
    object_type: String,
    #[serde(default)]
    context: Option<serde_json::Value>,
    assertions: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListUsersTest {
    object: String,
    user_filter: Vec<UserFilter>,
    #[serde(default)]
    context: Option<serde_json::Value>,
    assertions: BTreeMap<String, ExpectedUsers>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UserFilter {
    #[serde(rename = "type")]
    subject_type: String,
    #[serde(default)]
    relation: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedUsers {
    #[serde(default)]
    users: Vec<String>,
}

/// How a file's assertions went.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) tests: u64,
    pub(super) passed: u64,
    pub(super) failures: Vec<String>,
}

impl StoreTest {
    /// Reads a test file.
    pub(super) fn read(path: &Path) -> anyhow::Result<StoreTest> {
        let text = super::read_text(path)?;
        serde_saphyr::from_str(&text).map_err(|error| anyhow::anyhow!("`{}`: {error}", path.display()))
    }

    /// The tuples that hold in every test, each held against a schema.
    pub(super) fn common(self, path: &Path, program: &Program) -> anyhow::Result<Vec<Tuple>> {
        let files = self.tuple_file.iter().chain(&self.tuple_files);
        tuples(path, self.tuples, files, program)
    }

    /// The schema that the file names or holds.
    fn schema(&self, path: &Path) -> anyhow::Result<Result<Schema, Problems>> {
        let read = match (&self.model, &self.model_file) {
            (Some(text), _) => read_schema(&format!("{} (model)", path.display()), text),
            (None, Some(file)) => read_schema_file(&beside(path, file))?,
            (None, None) => bail!("`{}` has neither `model` nor `model_file`", path.display()),
        };
        Ok(read.map(|(_, schema)| schema))
    }

    /// Runs all tests of the file; problems of its schema come back as such.
    pub(super) fn run(self, path: &Path) -> anyhow::Result<Result<Outcome, Problems>> {
        let program = match self.schema(path)? {
            Ok(schema) => Program::new(schema),
            Err(problems) => return Ok(Err(problems)),
        };
        let files = self.tuple_file.iter().chain(&self.tuple_files);
        let common = tuples(path, self.tuples, files, &program)?;
        let mut outcome = Outcome::default();
        for (at, test) in (1..).zip(self.tests) {
            let name = if test.name.is_empty() { format!("test {at}") } else { test.name.clone() };
            let files = test.tuple_file.iter().chain(&test.tuple_files);
            let place = || format!("`{}`: in `{name}`", path.display());
            let own = tuples(path, test.tuples, files, &program).with_context(|| format!("in `{name}`"))?;
            let world = World::new(&program, common.iter().cloned().chain(own));
            outcome.tests += 1;
            let mut run = Run { world, test: name.clone(), outcome: &mut outcome };
            test.check.into_iter().try_for_each(|check| run.check(check)).with_context(place)?;
            test.list_objects.into_iter().try_for_each(|list| run.list_objects(&list)).with_context(place)?;
            test.list_users.into_iter().try_for_each(|list| run.list_users(&list)).with_context(place)?;
        }
        Ok(Ok(outcome))
    }
}

fn beside(path: &Path, file: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new(".")).join(file)
}

/// Tuples given in the test file and in files it names, each held against the schema.
fn tuples<'f>(
    path: &Path,
    given: Vec<TupleJson>,
    files: impl Iterator<Item = &'f PathBuf>,
    program: &Program,
) -> anyhow::Result<Vec<Tuple>> {
    let mut tuples = Vec::new();
    for (at, tuple) in (1..).zip(given) {
        let tuple = tuple.into_tuple();
        tuples.push(tuple.map_err(|problem| anyhow::anyhow!("`{}`: tuple {at}: {problem}", path.display()))?);
    }
    for file in files {
        let read = read_tuples(&beside(path, file), None, &mut |_| {})?;
        tuples.extend(read.into_iter().map(|located| located.tuple));
    }
    for tuple in &tuples {
        admit_stored(program.schema(), tuple)
            .with_context(|| format!("`{}`: tuple `{tuple}`", path.display()))?;
    }
    Ok(tuples)
}

/// The state of one test.
struct World<'p> {
    program: &'p Program,
    state: Overlay<Empty>,
    /// The same without any wildcard: who is named, rather than meant with everybody.
    named: Overlay<Empty>,
    objects: BTreeSet<Object>,
}

impl<'p> World<'p> {
    fn new(program: &'p Program, tuples: impl Iterator<Item = Tuple>) -> World<'p> {
        let tuples: Vec<Tuple> = tuples.collect();
        let empty = Empty { now: Timestamp::wall_clock() };
        let is_named = |tuple: &&Tuple| !matches!(tuple.key.subject, Subject::Wildcard(_));
        let named = Overlay::contextual(empty, tuples.iter().filter(is_named).cloned());
        let state = Overlay::contextual(empty, tuples);
        let mut objects = BTreeSet::new();
        // An overlay over nothing cannot fail.
        let _ = state.scan(&TupleFilter::default(), &mut |tuple, _| {
            objects.insert(tuple.object.to_owned());
            if let Subject::Object(object) | Subject::Userset(object, _) = tuple.subject.to_owned() {
                objects.insert(object);
            }
            ControlFlow::Continue(())
        });
        World { program, state, named, objects }
    }

    fn ask(
        &self,
        state: &dyn TupleReader,
        object: &Object,
        relation: &str,
        subject: &Subject,
        context: &Context,
    ) -> Result<bool, EvalError> {
        let tuple = TupleRef { object: object.as_ref(), relation, subject: subject.as_ref() };
        Ok(eval::check(self.program, state, tuple, context, &Limits::default())?.allowed)
    }

    fn check(
        &self,
        object: &Object,
        relation: &str,
        subject: &Subject,
        context: &Context,
    ) -> Result<bool, EvalError> {
        self.ask(&self.state, object, relation, subject, context)
    }

    fn list_objects(
        &self,
        object_type: &str,
        relation: &str,
        subject: &Subject,
        context: &Context,
    ) -> Result<BTreeSet<String>, EvalError> {
        let mut candidates = self.objects.clone();
        if let Subject::Userset(object, _) = subject {
            candidates.insert(object.clone());
        }
        let mut found = BTreeSet::new();
        for object in candidates.iter().filter(|object| object.object_type() == object_type) {
            if self.check(object, relation, subject, context)? {
                found.insert(object.to_string());
            }
        }
        Ok(found)
    }

    fn list_users(
        &self,
        object: &Object,
        relation: &str,
        filter: &UserFilter,
        context: &Context,
    ) -> Result<BTreeSet<String>, EvalError> {
        let of_type = |candidate: &&Object| candidate.object_type() == filter.subject_type;
        let mut found = BTreeSet::new();
        if let Some(asked) = &filter.relation {
            let Ok(asked) = Relation::new(asked) else { return Ok(found) };
            for candidate in self.objects.iter().chain([object]).filter(of_type) {
                let subject = Subject::Userset(candidate.clone(), asked.clone());
                if self.check(object, relation, &subject, context)? {
                    found.insert(subject.to_string());
                }
            }
            return Ok(found);
        }
        let everybody = Subject::Wildcard(filter.subject_type.as_str().into());
        let is_public = self.check(object, relation, &everybody, context)?;
        if is_public {
            found.insert(everybody.to_string());
        }
        for candidate in self.objects.iter().filter(of_type) {
            let subject = Subject::Object(candidate.clone());
            // Whoever is meant with everybody alone is not listed beside it.
            let is_listed = self.check(object, relation, &subject, context)?
                && (!is_public || self.ask(&self.named, object, relation, &subject, context)?);
            if is_listed {
                found.insert(subject.to_string());
            }
        }
        Ok(found)
    }
}

struct Run<'r, 'p> {
    world: World<'p>,
    test: String,
    outcome: &'r mut Outcome,
}

impl Run<'_, '_> {
    fn check(&mut self, test: CheckTest) -> anyhow::Result<()> {
        let context = given(test.context)?;
        let subjects: Vec<String> = test.user.into_iter().chain(test.users).collect();
        let objects: Vec<String> = test.object.into_iter().chain(test.objects).collect();
        if subjects.is_empty() || objects.is_empty() {
            bail!("a check needs `user` and `object`");
        }
        for subject in &subjects {
            for object in &objects {
                for (relation, expected) in &test.assertions {
                    let parsed: Subject = subject.parse()?;
                    let at: Object = object.parse()?;
                    let answer = self.world.check(&at, relation, &parsed, &context);
                    let asked = format!("check {object}#{relation}@{subject}");
                    self.compare(&asked, expected, answer);
                }
            }
        }
        Ok(())
    }

    fn list_objects(&mut self, test: &ListObjectsTest) -> anyhow::Result<()> {
        let context = given(test.context.clone())?;
        let subject: Subject = test.user.parse()?;
        for (relation, expected) in &test.assertions {
            let answer = self.world.list_objects(&test.object_type, relation, &subject, &context);
            let asked = format!("list_objects {}#{relation} of {subject}", test.object_type);
            self.compare(&asked, &expected.iter().cloned().collect(), answer);
        }
        Ok(())
    }

    fn list_users(&mut self, test: &ListUsersTest) -> anyhow::Result<()> {
        let context = given(test.context.clone())?;
        let object: Object = test.object.parse()?;
        for (relation, expected) in &test.assertions {
            let mut answer = Ok(BTreeSet::new());
            for filter in &test.user_filter {
                answer = answer.and_then(|mut all: BTreeSet<String>| {
                    all.extend(self.world.list_users(&object, relation, filter, &context)?);
                    Ok(all)
                });
            }
            let asked = format!("list_users {object}#{relation}");
            self.compare(&asked, &expected.users.iter().cloned().collect(), answer);
        }
        Ok(())
    }

    fn compare<T: PartialEq + std::fmt::Debug>(
        &mut self,
        asked: &str,
        expected: &T,
        answer: Result<T, EvalError>,
    ) {
        let got = match answer {
            Ok(answer) if answer == *expected => {
                self.outcome.passed += 1;
                return;
            }
            Ok(answer) => format!("{answer:?}"),
            Err(error) => format!("an error: {error}"),
        };
        let test = &self.test;
        self.outcome.failures.push(format!("`{test}`: {asked}: expected {expected:?}, got {got}"));
    }
}

/// The context of a test.
fn given(context: Option<serde_json::Value>) -> anyhow::Result<Context> {
    match context {
        None | Some(serde_json::Value::Null) => Ok(Context::default()),
        Some(serde_json::Value::Object(values)) => Ok(Context::new(values)),
        Some(other) => bail!("`context` has to be a map of parameters and their values, not `{other}`"),
    }
}
