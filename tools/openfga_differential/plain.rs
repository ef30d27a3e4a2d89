//! Which lists of users OpenFGA answers by the meaning, whatever the tuples.
//!
//! Its list-users keeps, for each user, whether he was found or taken away, and the last word on him counts: where a
//! `but not` stands below another, or behind a group or parent, that may be the wrong word. Below `and` and `but not`, who
//! is named beside `T:*` hangs on the operands. A filter for usersets lets objects and `T:*` of their type through too.

use std::collections::BTreeSet;

use crate::world::{Rewrite, Shape, World};

/// Whether the schema has none of that on the way from a relation to the users of a filter.
pub(crate) fn is_plain(world: &World, of: &str, relation: &str, filter: &str) -> bool {
    let mut way = Way {
        world,
        filter,
        seen: BTreeSet::new(),
        is_more_than_union: false,
        has_everybody: false,
        is_plain: true,
    };
    way.follow(of, relation, Place::default());
    way.is_plain && !(way.is_more_than_union && way.has_everybody)
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// Behind a group or a parent.
    is_far: bool,
    /// On either side of a `but not`.
    is_below: bool,
}

struct Way<'w> {
    world: &'w World,
    filter: &'w str,
    seen: BTreeSet<(String, String, Place)>,
    is_more_than_union: bool,
    has_everybody: bool,
    is_plain: bool,
}

impl Way<'_> {
    fn follow(&mut self, of: &str, name: &str, place: Place) {
        let world = self.world;
        if let Some(relation) = world.relation(of, name)
            && self.seen.insert((of.to_owned(), name.to_owned(), place))
        {
            self.rewrite(of, name, &relation.rewrite, place);
        }
    }

    fn rewrite(&mut self, of: &str, name: &str, rewrite: &Rewrite, place: Place) {
        let world = self.world;
        let restrictions = |name: &str| world.relation(of, name).map_or(&[][..], |it| &it.restrictions);
        let behind = Place { is_far: true, ..place };
        match rewrite {
            Rewrite::Direct => {
                let (asked, is_userset) = match self.filter.split_once('#') {
                    Some((asked, _)) => (asked, true),
                    None => (self.filter, false),
                };
                for it in restrictions(name) {
                    match &it.shape {
                        Shape::Userset(relation) => self.follow(&it.of, relation, behind),
                        shape if it.of == asked => {
                            self.has_everybody |= *shape == Shape::Wildcard;
                            self.is_plain &= !is_userset;
                        }
                        _ => {}
                    }
                }
            }
            Rewrite::Computed(other) => self.follow(of, other, place),
            Rewrite::Arrow { target, tupleset } => {
                restrictions(tupleset).iter().for_each(|it| self.follow(&it.of, target, behind));
            }
            Rewrite::Union(parts) | Rewrite::Intersection(parts) => {
                self.is_more_than_union |= matches!(rewrite, Rewrite::Intersection(_));
                parts.iter().for_each(|part| self.rewrite(of, name, part, place));
            }
            Rewrite::Exclusion(base, subtract) => {
                self.is_plain &= place == Place::default();
                self.is_more_than_union = true;
                for part in [base, subtract] {
                    self.rewrite(of, name, part, Place { is_below: true, ..place });
                }
            }
        }
    }
}
