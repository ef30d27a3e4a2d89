//! An explanation as JSON.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::PeriodForm;
use crate::engine::{Block, Explained, ExplainedAnswer, Miss, Proof, Why, Written};
use crate::tuple::{Revision, Timestamp, Tuple};

/// Why an answer is what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplanationForm {
    /// `yes`, `no`, or `conditional`: it hangs on a condition that cannot be told.
    pub answer: String,
    /// Since when, and until when; none: it could not be found out in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<PeriodForm>,
    /// Of a yes, the smallest first.
    pub proofs: Vec<ProofForm>,
    /// There are, or may be, more.
    pub more_proofs: bool,
    /// Of a no: what stands in the way.
    pub blocks: Vec<BlockForm>,
    /// Of a no: what would make it a yes, the nearest first.
    pub near_misses: Vec<MissForm>,
    /// There are, or may be, more.
    pub more_near_misses: bool,
}

/// Tuples over which alone the answer is yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofForm {
    /// All of them are needed.
    pub tuples: Vec<WrittenForm>,
    /// Tuples that must stay absent.
    pub absent: Vec<String>,
    /// Tuples that are there and would break it, were it not for others.
    pub despite: Vec<String>,
    /// How the answer follows.
    pub why: WhyForm,
}

/// A tuple that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenForm {
    /// As text.
    pub tuple: String,
    /// The revision that wrote it.
    pub revision: u64,
    /// When; none: that is no longer kept, or it is contextual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
}

/// How something follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhyForm {
    /// The subject holds `relation` on `object`, by its rule.
    Holds {
        /// `voice:7#viewer`
        relation: String,
        /// The rule; empty: tuples are written on it.
        rule: String,
        /// By what.
        by: Vec<WhyForm>,
    },
    /// A tuple names the subject, or everybody.
    Named(WrittenForm),
    /// A tuple leads to another object.
    Over {
        /// The tuple.
        tuple: WrittenForm,
        /// What the subject holds there.
        then: Box<WhyForm>,
    },
    /// The same as was told before.
    Again(String),
    /// The subject is that very userset.
    Itself,
    /// What would take it away does not hold.
    NotTaken {
        /// The object.
        object: String,
        /// In words of the schema.
        taken: String,
    },
}

/// What stands in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockForm {
    /// `taken_away`, `condition_false`, `condition_unknown`, `invalid`.
    pub kind: String,
    /// In words.
    pub text: String,
    /// The tuples that it is about.
    pub tuples: Vec<WrittenForm>,
}

/// Changes after which the answer is yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissForm {
    /// Tuples to be written.
    pub writes: Vec<String>,
    /// Tuples to be taken away.
    pub deletes: Vec<String>,
    /// It only writes the answer itself.
    pub trivial: bool,
}

struct Times(HashMap<Revision, Timestamp>);

impl From<&Explained> for ExplanationForm {
    fn from(explained: &Explained) -> ExplanationForm {
        let Explained { explanation, period, times } = explained;
        let times = Times(times.iter().copied().collect());
        let answer = match explanation.answer {
            ExplainedAnswer::Yes => "yes",
            ExplainedAnswer::No => "no",
            ExplainedAnswer::Conditional => "conditional",
        };
        ExplanationForm {
            answer: answer.to_owned(),
            period: period.as_ref().map(PeriodForm::from),
            proofs: explanation.proofs.iter().map(|proof| times.proof(proof)).collect(),
            more_proofs: explanation.has_more_proofs,
            blocks: explanation.blocks.iter().map(|block| times.block(block)).collect(),
            near_misses: explanation.misses.iter().map(miss).collect(),
            more_near_misses: explanation.has_more_misses,
        }
    }
}

impl Times {
    fn written(&self, written: &Written) -> WrittenForm {
        WrittenForm {
            tuple: tuple_text(&written.tuple),
            revision: written.revision.0,
            time: self.0.get(&written.revision).map(ToString::to_string),
        }
    }

    fn all(&self, written: &[Written]) -> Vec<WrittenForm> {
        written.iter().map(|it| self.written(it)).collect()
    }

    fn proof(&self, proof: &Proof) -> ProofForm {
        ProofForm {
            tuples: self.all(&proof.tuples),
            absent: proof.absent.iter().map(ToString::to_string).collect(),
            despite: proof.despite.iter().map(ToString::to_string).collect(),
            why: self.why(&proof.why),
        }
    }

    fn why(&self, why: &Why) -> WhyForm {
        match why {
            Why::Holds { object, relation, rule, by } => WhyForm::Holds {
                relation: format!("{object}#{relation}"),
                rule: rule.to_string(),
                by: by.iter().map(|why| self.why(why)).collect(),
            },
            Why::Named(written) => WhyForm::Named(self.written(written)),
            Why::Over { tuple, then } => {
                WhyForm::Over { tuple: self.written(tuple), then: Box::new(self.why(then)) }
            }
            Why::Again { object, relation } => WhyForm::Again(format!("{object}#{relation}")),
            Why::Itself => WhyForm::Itself,
            Why::NotTaken { object, taken } => {
                WhyForm::NotTaken { object: object.to_string(), taken: taken.to_string() }
            }
        }
    }

    fn block(&self, block: &Block) -> BlockForm {
        let (kind, text) = match block {
            Block::TakenAway { object, relation, by, .. } => {
                ("taken_away", format!("{object}#{relation} would be held, but `{by}` takes it away"))
            }
            Block::ConditionFalse { tuple } => {
                ("condition_false", format!("the condition of {} is false", tuple_text(&tuple.tuple)))
            }
            Block::ConditionUnknown { tuple, cause } => (
                "condition_unknown",
                format!("the condition of {} cannot be told: {cause}", tuple_text(&tuple.tuple)),
            ),
            Block::Invalid { tuple } => {
                ("invalid", format!("{tuple} is stored, but the schema does not allow it"))
            }
        };
        BlockForm { kind: kind.to_owned(), text, tuples: self.all(block.tuples()) }
    }
}

fn miss(miss: &Miss) -> MissForm {
    MissForm {
        writes: miss.writes.iter().map(tuple_text).collect(),
        deletes: miss.deletes.iter().map(ToString::to_string).collect(),
        trivial: miss.is_trivial,
    }
}

fn tuple_text(tuple: &Tuple) -> String {
    tuple.to_string()
}

impl ExplanationForm {
    /// From its JSON form; none: it does not have that form.
    pub fn read(json: Value) -> Option<ExplanationForm> {
        serde_json::from_value(json).ok()
    }
}
