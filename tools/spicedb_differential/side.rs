//! The two that are asked: our server, and SpiceDB.

use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;

use anyhow::bail;
use serde_json::{Value, json};

use crate::answer::{Answer, CONDITIONAL, Refusal, UNDECIDED};
use crate::language;
use crate::peer::Peer;
use crate::server::{Server, Stored};
use crate::world::{Ask, Question, World};

/// Before an entry that SpiceDB names as not in `T:*`.
pub(crate) const EXCLUDED: char = '-';

/// A world as one of the two has it.
pub(crate) enum Prepared {
    /// We.
    Stored(Stored),
    /// SpiceDB.
    Instance(Instance),
}

/// A SpiceDB with a world; it goes with this.
pub(crate) struct Instance {
    peer: Rc<Peer>,
    number: u64,
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.peer.close(self.number);
    }
}

/// One of the two.
pub(crate) enum Side {
    /// Our server.
    Server(Server),
    /// SpiceDB.
    Spice(Rc<Peer>),
}

impl Side {
    /// A server by its URL.
    pub(crate) fn server(url: &str) -> Side {
        Side::Server(Server::new(url))
    }

    /// SpiceDB, by Node.js and the folder where its library is installed.
    pub(crate) fn spice(node: &Path, folder: &Path) -> anyhow::Result<Side> {
        Ok(Side::Spice(Rc::new(Peer::start(node, folder)?)))
    }

    /// Both tell a schema from tuples.
    #[allow(clippy::unused_self, reason = "shared code asks it of a side")]
    pub(crate) fn is_tool(&self) -> bool {
        false
    }

    /// Waits until it answers again.
    pub(crate) fn wait(&self) -> anyhow::Result<()> {
        match self {
            Side::Server(server) => server.wait(),
            Side::Spice(peer) => peer.restart(),
        }
    }

    /// Makes a store of a world.
    pub(crate) fn prepare(&self, world: &World) -> anyhow::Result<Result<Prepared, Refusal>> {
        let peer = match self {
            Side::Server(server) => return Ok(server.prepare(world)?.map(Prepared::Stored)),
            Side::Spice(peer) => peer,
        };
        let relationships: Vec<Value> =
            world.tuples.iter().map(|it| language::relationship(world, it)).collect();
        let request =
            json!({ "op": "open", "schema": language::schema(world), "relationships": relationships });
        let answer = peer.open(&request)?;
        let message = answer["message"].as_str().unwrap_or_default().to_owned();
        Ok(match (answer["instance"].as_u64(), answer["at"].as_u64()) {
            (Some(number), _) => Ok(Prepared::Instance(Instance { peer: Rc::clone(peer), number })),
            (None, Some(at)) => Err(Refusal::Tuple(usize::try_from(at)?, message)),
            (None, None) => Err(Refusal::Schema(message)),
        })
    }

    /// The answers, one for each question.
    pub(crate) fn ask(
        &self,
        _: &World,
        prepared: &Prepared,
        questions: &[Question],
    ) -> anyhow::Result<Vec<Answer>> {
        match (self, prepared) {
            (Side::Server(server), Prepared::Stored(stored)) => {
                questions.iter().map(|it| server.ask(stored, it)).collect()
            }
            (Side::Spice(peer), Prepared::Instance(it)) => ask(peer, it.number, questions),
            _ => bail!("prepared by the other side"),
        }
    }

    /// The answers of SpiceDB to checks that are asked one by one, not in one request.
    pub(crate) fn ask_alone(
        &self,
        prepared: &Prepared,
        questions: &[Question],
    ) -> anyhow::Result<Vec<Answer>> {
        let (Side::Spice(peer), Prepared::Instance(it)) = (self, prepared) else { bail!("not SpiceDB") };
        checks(peer, it.number, "check_one", questions)
    }
}

fn ask(peer: &Peer, instance: u64, questions: &[Question]) -> anyhow::Result<Vec<Answer>> {
    let is_check = |it: &&Question| matches!(it.ask, Ask::Check { .. });
    let checked: Vec<Question> = questions.iter().filter(is_check).cloned().collect();
    let mut checked = checks(peer, instance, "check", &checked)?.into_iter();
    let mut answers = Vec::new();
    for question in questions {
        let context = &question.context;
        let (op, item, of, relation) = match &question.ask {
            Ask::Check { .. } => {
                answers.extend(checked.next());
                continue;
            }
            Ask::Objects { of, relation, user } => {
                let user = language::subject(user);
                let permission = language::name(relation);
                let item =
                    json!({ "type": of, "permission": permission, "subject": user, "context": context });
                ("resources", item, of.as_str(), None)
            }
            Ask::Users { object, relation, filter } => {
                let (of, userset) = match filter.split_once('#') {
                    Some((of, userset)) => (of, Some(userset)),
                    None => (filter.as_str(), None),
                };
                let item = json!({
                    "resource": language::encoded(object), "permission": language::name(relation), "type": of,
                    "relation": userset.map(language::name), "context": context,
                });
                ("subjects", item, of, userset)
            }
        };
        let answer = peer.ask(&json!({ "op": op, "instance": instance, "item": item }))?;
        answers.push(read(&answer["answer"], of, relation));
    }
    Ok(answers)
}

fn checks(peer: &Peer, instance: u64, op: &str, questions: &[Question]) -> anyhow::Result<Vec<Answer>> {
    let items: Vec<Value> = questions
        .iter()
        .filter_map(|it| match &it.ask {
            Ask::Check { object, relation, user } => {
                Some(language::check(object, relation, user, it.context.as_ref()))
            }
            _ => None,
        })
        .collect();
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let answer = peer.ask(&json!({ "op": op, "instance": instance, "items": items }))?;
    let answers = answer["answers"].as_array().cloned().unwrap_or_default();
    if answers.len() != items.len() {
        bail!("{} answers to {} checks", answers.len(), items.len());
    }
    Ok(answers.iter().map(|it| read(it, "", None)).collect())
}

/// An answer of the peer; of a list, entries of a type, or of its usersets.
fn read(answer: &Value, of: &str, relation: Option<&str>) -> Answer {
    let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
    match answer["is"].as_str() {
        Some("yes") => Answer::Allowed(true),
        Some("no") => Answer::Allowed(false),
        Some("conditional") => Answer::Error(CONDITIONAL.to_owned(), answer["missing"].to_string()),
        Some("list") => {
            let name = |it: &Value| {
                let id = language::decoded(it["id"].as_str().unwrap_or_default());
                let open = if it["is"] == "conditional" { UNDECIDED.to_string() } else { String::new() };
                let relation = relation.map_or_else(String::new, |it| format!("#{it}"));
                format!("{of}:{id}{relation}{open}")
            };
            let mut found = BTreeSet::new();
            for entry in answer["entries"].as_array().into_iter().flatten() {
                found.insert(name(entry));
                let excluded = entry["but_not"].as_array().into_iter().flatten();
                found.extend(excluded.map(|it| format!("{EXCLUDED}{}", name(it))));
            }
            // What is found in two ways may come twice: it counts when one of them is enough.
            let sure = found.clone();
            found.retain(|it| it.strip_suffix(UNDECIDED).is_none_or(|it| !sure.contains(it)));
            Answer::List(found)
        }
        _ => Answer::Error(text("code"), text("message")),
    }
}
