//! Organisations and voices: a data set of any size, made from numbers alone, and a model in memory that knows the answer
//! to every question about it without the engine.
//!
//! Organisations stand in trees of four levels, ten below each. Each has an owner, an admin and a user. Voices belong to
//! organisations of the lowest level; each has three more viewers, of whom a tenth are the users of some organisation.

use std::io::{self, Write};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Zipf};

/// The schema, as in `benches/engine.rs`.
pub(crate) const SCHEMA: &str = "model
  schema 1.1

type user

type org
  relations
    define parent: [org]
    define owner: [user]
    define admin: [user] or owner or admin from parent
    define user: [user] or admin

type voice
  relations
    define org: [org]
    define viewer: [user, org#user] or admin from org
";

/// The same in OpenFGA's JSON form.
pub(crate) fn schema_json() -> serde_json::Value {
    use serde_json::json;
    let this = || json!({ "this": {} });
    let computed = |relation: &str| json!({ "computedUserset": { "relation": relation } });
    let from = |tupleset: &str| json!({ "tupleToUserset": { "tupleset": { "relation": tupleset }, "computedUserset": { "relation": "admin" } } });
    let union = |children: Vec<serde_json::Value>| json!({ "union": { "child": children } });
    let direct = |types: serde_json::Value| json!({ "directly_related_user_types": types });
    json!({ "schema_version": "1.1", "type_definitions": [
        { "type": "user" },
        { "type": "org",
          "relations": {
            "parent": this(), "owner": this(),
            "admin": union(vec![this(), computed("owner"), from("parent")]),
            "user": union(vec![this(), computed("admin")]),
          },
          "metadata": { "relations": {
            "parent": direct(json!([{ "type": "org" }])), "owner": direct(json!([{ "type": "user" }])),
            "admin": direct(json!([{ "type": "user" }])), "user": direct(json!([{ "type": "user" }])),
          } } },
        { "type": "voice",
          "relations": { "org": this(), "viewer": union(vec![this(), from("org")]) },
          "metadata": { "relations": {
            "org": direct(json!([{ "type": "org" }])),
            "viewer": direct(json!([{ "type": "user" }, { "type": "org", "relation": "user" }])),
          } } },
    ] })
}

/// Tuples of a tree of organisations with ten voices each, but for its root's parent.
const TUPLES_OF_TREE: u64 = 1_111 * 4 + 40_000;
const GRANTS: u64 = 3;

/// The size of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct World {
    roots: u64,
    /// Voices, numbered from 0.
    pub(crate) voices: u64,
    /// Tuples, all in all.
    pub(crate) tuples: u64,
}

/// Who may hold something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// Somebody whom voices are given to.
    Person(u64),
    /// The owner of an organisation.
    Owner(u64),
    /// The admin of one.
    Admin(u64),
    /// The user of one.
    User(u64),
    /// All users of one.
    UsersOf(u64),
}

/// A question about a voice, whether somebody is a viewer of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    /// The voice.
    pub(crate) voice: u64,
    /// The subject.
    pub(crate) subject: Subject,
}

/// A number that looks random (splitmix64).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Subject {
    /// Writes its text form.
    pub(crate) fn write(self, text: &mut Vec<u8>) {
        let (before, number, after) = match self {
            Subject::Person(number) => ("user:person-", number, ""),
            Subject::Owner(number) => ("user:owner-", number, ""),
            Subject::Admin(number) => ("user:admin-", number, ""),
            Subject::User(number) => ("user:user-", number, ""),
            Subject::UsersOf(number) => ("org:", number, "#user"),
        };
        text.extend_from_slice(before.as_bytes());
        crate::http::push_number(text, number as usize);
        text.extend_from_slice(after.as_bytes());
    }

    /// Its text form.
    pub(crate) fn text(self) -> String {
        let mut text = Vec::new();
        self.write(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl World {
    /// One of about so many tuples.
    pub(crate) fn of_tuples(tuples: u64) -> World {
        let roots = ((tuples + TUPLES_OF_TREE / 2) / TUPLES_OF_TREE).max(1);
        let orgs = roots * 1_111;
        let of_orgs = orgs * 3 + orgs - roots;
        let voices = tuples.saturating_sub(of_orgs) / (1 + GRANTS);
        let voices = voices.max(100);
        World { roots, voices, tuples: of_orgs + voices * (1 + GRANTS) }
    }

    fn orgs(&self) -> u64 {
        self.roots * 1_111
    }

    /// Roots first, then their children, and so on.
    fn parent(&self, org: u64) -> Option<u64> {
        let (one, two) = (self.roots, self.roots * 11);
        let three = self.roots * 111;
        match org {
            _ if org < one => None,
            _ if org < two => Some((org - one) / 10),
            _ if org < three => Some(one + (org - two) / 10),
            _ => Some(two + (org - three) / 10),
        }
    }

    fn leaf(&self, number: u64) -> u64 {
        self.roots * 111 + number % (self.roots * 1_000)
    }

    /// The organisation of a voice.
    pub(crate) fn org_of(&self, voice: u64) -> u64 {
        self.leaf(mix(voice * 8))
    }

    /// The organisation so many steps above that of a voice.
    pub(crate) fn org_above(&self, voice: u64, steps: u32) -> u64 {
        (0..steps).fold(self.org_of(voice), |org, _| self.parent(org).unwrap_or(org))
    }

    /// One of the three viewers that a voice is given to.
    pub(crate) fn grant(&self, voice: u64, number: u64) -> Subject {
        let random = mix(voice * 8 + 1 + number);
        if number == GRANTS - 1 && random % 10 < 3 {
            return Subject::UsersOf(self.leaf(random >> 8));
        }
        // Three ranges, so that nobody is given the same voice twice.
        Subject::Person((random >> 8) % self.voices.max(1) * GRANTS + number)
    }

    /// Whether somebody is an admin of an organisation.
    fn is_admin(&self, org: u64, subject: Subject) -> bool {
        let (Subject::Admin(of) | Subject::Owner(of)) = subject else { return false };
        let mut at = Some(org);
        while let Some(org) = at {
            if org == of {
                return true;
            }
            at = self.parent(org);
        }
        false
    }

    /// The answer.
    pub(crate) fn is_viewer(&self, question: Question) -> bool {
        let Question { voice, subject } = question;
        let granted = (0..GRANTS).map(|number| self.grant(voice, number)).any(|grant| match grant {
            Subject::UsersOf(org) => {
                subject == grant || subject == Subject::User(org) || self.is_admin(org, subject)
            }
            _ => subject == grant,
        });
        granted || self.is_admin(self.org_of(voice), subject)
    }

    /// Visits all tuples, as object, relation and subject.
    pub(crate) fn each_tuple(
        &self,
        visit: &mut dyn FnMut(&str, &str, &str) -> io::Result<()>,
    ) -> io::Result<()> {
        for org in 0..self.orgs() {
            let object = format!("org:{org}");
            if let Some(parent) = self.parent(org) {
                visit(&object, "parent", &format!("org:{parent}"))?;
            }
            visit(&object, "owner", &Subject::Owner(org).text())?;
            visit(&object, "admin", &Subject::Admin(org).text())?;
            visit(&object, "user", &Subject::User(org).text())?;
        }
        for voice in 0..self.voices {
            let object = format!("voice:{voice}");
            visit(&object, "org", &format!("org:{}", self.org_of(voice)))?;
            for number in 0..GRANTS {
                visit(&object, "viewer", &self.grant(voice, number).text())?;
            }
        }
        Ok(())
    }

    /// Writes all of it as CSV.
    pub(crate) fn write_csv(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "object,relation,subject")?;
        self.each_tuple(&mut |object, relation, subject| writeln!(out, "{object},{relation},{subject}"))
    }

    /// Somebody who is likely to be a viewer, or likely to be none. Of both sorts a voice has eight.
    fn candidate(&self, voice: u64, wanted: bool, number: u64, random: &mut StdRng) -> Subject {
        let org = self.org_of(voice);
        if wanted {
            return match number {
                0..3 => match self.grant(voice, number) {
                    Subject::UsersOf(org) => Subject::User(org),
                    other => other,
                },
                3 => Subject::Owner(org),
                hops => Subject::Admin(self.org_above(voice, (hops - 4) as u32)),
            };
        }
        match number {
            0..4 => Subject::Person(random.random_range(0..self.voices * GRANTS)),
            // Of the same organisation, but no viewer.
            4 => Subject::User(org),
            5 => Subject::Admin(self.leaf(random.random())),
            6 => Subject::Owner(random.random_range(0..self.orgs())),
            _ => Subject::User(self.leaf(random.random())),
        }
    }

    /// One of the eight questions about a voice with this answer.
    fn question(&self, voice: u64, wanted: bool, number: u64) -> Question {
        // Always the same, so that it can be asked again.
        let mut random = StdRng::seed_from_u64(mix(voice * 16 + number + if wanted { 8 } else { 0 }));
        let mut question = Question { voice, subject: self.candidate(voice, wanted, number, &mut random) };
        while self.is_viewer(question) != wanted {
            // A voice is in some organisation whose user is its viewer, or a person was given it after all.
            let number = random.random_range(0..8);
            question.subject = self.candidate(voice, wanted, number, &mut random);
        }
        question
    }

    /// Questions, half of them with no for their answer, about voices that are asked about as Zipf's law with an exponent
    /// of 0.99 has it; so many different ones in a stream in which they recur as they are drawn.
    pub(crate) fn stream(&self, distinct: usize, seed: u64) -> anyhow::Result<Stream> {
        use std::collections::HashMap;
        let mut random = StdRng::seed_from_u64(seed);
        let zipf = Zipf::new(self.voices as f64, 0.99)?;
        let mut places: HashMap<Question, u32> = HashMap::with_capacity(distinct);
        let (mut questions, mut order) = (Vec::with_capacity(distinct), Vec::new());
        let mut yes = 0_usize;
        // More than that cannot be had of a small world.
        let draws_max = distinct * 64;
        while questions.len() < distinct && order.len() < draws_max {
            let rank = zipf.sample(&mut random) as u64 - 1;
            // What is asked about most is anywhere among the voices.
            let voice = (rank.min(self.voices - 1)).wrapping_mul(2_654_435_761) % self.voices;
            let wanted = order.len() % 2 == 0;
            let question = self.question(voice, wanted, random.random_range(0..8));
            let place = *places.entry(question).or_insert_with(|| {
                questions.push((question, wanted));
                yes += usize::from(wanted);
                (questions.len() - 1) as u32
            });
            order.push(place);
        }
        Ok(Stream { questions, order, yes })
    }
}

/// Questions in the order in which they are asked.
pub(crate) struct Stream {
    /// All different ones, with their answers.
    pub(crate) questions: Vec<(Question, bool)>,
    /// Places in `questions`.
    pub(crate) order: Vec<u32>,
    /// How many of the different ones are answered with yes.
    pub(crate) yes: usize,
}

impl Stream {
    /// A question of the stream, and its answer.
    pub(crate) fn get(&self, number: u64) -> (Question, bool) {
        self.questions[self.place(number)]
    }

    /// The place of a question among the different ones.
    pub(crate) fn place(&self, number: u64) -> usize {
        self.order[(number % self.order.len() as u64) as usize] as usize
    }

    /// What it is made of, in words.
    pub(crate) fn shown(&self) -> String {
        format!(
            "{} different questions, {:.0} % of them yes, in a stream of {}",
            self.questions.len(),
            100.0 * self.yes as f64 / self.questions.len().max(1) as f64,
            self.order.len()
        )
    }
}
