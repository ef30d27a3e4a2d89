//! Random worlds: a schema, tuples, a depth limit, and questions.

use stonetown::eval::Program;
use stonetown::schema::Tree;
use stonetown::schema::resolved::{RelationIndex, Rewrite};
use stonetown::tuple::{Object, Relation, Subject, Tuple, TupleKey};

use super::random::Random;
use super::schemas;
use super::sketch::Sketch;
use super::tuples::{self, Laid};

/// Questions asked of one world.
pub(crate) const QUESTIONS: usize = 10;

/// A schema, tuples, and how deep a question may go.
pub(crate) struct World {
    /// The schema, for people.
    pub(crate) sketch: Sketch,
    /// The schema, for the engine.
    pub(crate) tree: Tree,
    /// The schema, for the evaluators.
    pub(crate) program: Program,
    /// Each key once; some of them do not count under the schema.
    pub(crate) tuples: Vec<Tuple>,
    /// The limit.
    pub(crate) depth_max: u32,
}

impl World {
    /// The same tuples under another schema; none when it breaks a rule.
    pub(crate) fn under(&self, sketch: Sketch) -> Option<World> {
        let (tree, schema) = sketch.resolve()?;
        let program = Program::new(schema);
        Some(World { sketch, tree, program, tuples: self.tuples.clone(), depth_max: self.depth_max })
    }
}

/// The world of a seed, and questions about it.
pub(crate) fn world(seed: u64) -> (World, Vec<TupleKey>) {
    let random = &mut Random::new(seed);
    let (sketch, tree, schema) = schemas::schema(random);
    let depth_max =
        random.weighted(&[(34, 1), (22, 2), (14, 3), (8, 4), (6, 5), (5, 6), (4, 7), (4, 8), (3, 25)]);
    let laid = tuples::lay(random, &schema, depth_max);
    let program = Program::new(schema);
    let asker = Asker { program: &program, laid: &laid };
    let questions = (0..QUESTIONS).map(|_| asker.question(random)).collect();
    (World { sketch, tree, program, tuples: laid.tuples, depth_max }, questions)
}

struct Asker<'w> {
    program: &'w Program,
    laid: &'w Laid,
}

impl Asker<'_> {
    fn question(&self, random: &mut Random) -> TupleKey {
        let chain =
            (!self.laid.chains.is_empty() && random.chance(65)).then(|| random.pick(&self.laid.chains));
        let place = chain.map(|chain| {
            // Its beginning most often: there the way is longest.
            let at = if random.chance(70) { 0 } else { random.below(chain.places.len()) };
            chain.places[at].clone()
        });
        let (object, relation) = place.unwrap_or_else(|| self.place(random));
        let end = chain.filter(|_| random.chance(55)).and_then(|chain| chain.end.clone());
        let subject = end.map(|end| self.one_of(random, end)).unwrap_or_else(|| self.subject(random, chain));
        let relation = Relation::new(&self.program.schema().relation_at(relation).name).unwrap();
        TupleKey { object, relation, subject }
    }

    fn place(&self, random: &mut Random) -> (Object, RelationIndex) {
        if random.chance(75)
            && let Some(place) = self.written_place(random)
        {
            return place;
        }
        let relations: Vec<RelationIndex> =
            self.program.schema().relations().map(|(index, _)| index).collect();
        let relation = *random.pick(&relations);
        let of = self.program.schema().relation_at(relation).object_type;
        let mut object = random.pick(&self.laid.objects[of.0 as usize]).clone();
        if random.chance(2) {
            object = Object::new(object.object_type(), "nowhere").unwrap();
        }
        (object, relation)
    }

    /// Some relation of an object that tuples are written on.
    fn written_place(&self, random: &mut Random) -> Option<(Object, RelationIndex)> {
        let schema = self.program.schema();
        let written: Vec<&Object> = self.laid.tuples.iter().map(|tuple| &tuple.key.object).collect();
        let object = (!written.is_empty()).then(|| (*random.pick(&written)).clone())?;
        let relations = &schema.type_at(schema.type_named(object.object_type())?).relations;
        let computed: Vec<RelationIndex> = relations
            .iter()
            .copied()
            .filter(|it| schema.relation_at(*it).rewrite != Rewrite::Direct)
            .collect();
        // What is only written, and not computed, is soon answered.
        let from = if computed.is_empty() || random.chance(20) { relations } else { &computed };
        (!from.is_empty()).then(|| (object, *random.pick(from)))
    }

    /// Somebody that a subject stands for: asked about `user:*`, mostly one user.
    fn one_of(&self, random: &mut Random, subject: Subject) -> Subject {
        match &subject {
            Subject::Wildcard(name) if random.chance(80) => {
                let index =
                    self.program.schema().type_named(name).expect("chains end in types of the schema");
                Subject::Object(random.pick(&self.laid.objects[index.0 as usize]).clone())
            }
            _ => subject,
        }
    }

    fn subject(&self, random: &mut Random, chain: Option<&tuples::Chain>) -> Subject {
        match random.below(100) {
            0..4 => {
                let (_, kind) = self.program.schema().types().next().expect("a schema has types");
                Subject::Object(Object::new(&kind.name, "nobody").unwrap())
            }
            4..12 => {
                let object = self.object(random);
                Subject::Wildcard(object.object_type().into())
            }
            12..24 => {
                let (object, relation) = match chain {
                    Some(chain) => random.pick(&chain.places).clone(),
                    None => self.place(random),
                };
                let name = &self.program.schema().relation_at(relation).name;
                Subject::Userset(object, Relation::new(name).unwrap())
            }
            24..75 if !self.laid.tuples.is_empty() => self.of_tuple(random),
            _ => Subject::Object(self.object(random)),
        }
    }

    /// The subject of a tuple, if it can be asked about.
    fn of_tuple(&self, random: &mut Random) -> Subject {
        let schema = self.program.schema();
        let subject = random.pick(&self.laid.tuples).key.subject.clone();
        let is_known = schema.type_named(subject.subject_type()).is_some_and(|of| match &subject {
            Subject::Userset(_, relation) => schema.relation_named(of, relation.as_str()).is_some(),
            _ => true,
        });
        if is_known { self.one_of(random, subject) } else { Subject::Object(self.object(random)) }
    }

    fn object(&self, random: &mut Random) -> Object {
        // Users most often: they are who tuples name.
        let number = if random.chance(70) { 0 } else { random.below(self.laid.objects.len()) };
        random.pick(&self.laid.objects[number]).clone()
    }
}
