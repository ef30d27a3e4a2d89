//! The blank lines of the canonical layout that are not the writer's to choose.

use super::tree::{Comment, RelationDefinition, Tree, Trivia, TypeDefinition};

/// Sets the blank lines that the layout prescribes, so that a tree is the same before printing and after reading
/// it back. All others stay as written, at most one at a place.
pub(super) fn normalise(tree: &mut Tree) {
    begin(&mut tree.header.model_trivia, false);
    begin(&mut tree.header.schema_trivia, false);
    begin_comments(&mut tree.header.tail, false);
    let mut after_bare = false;
    for definition in &mut tree.types {
        let bare = definition.relations.is_empty();
        if !(bare && after_bare) {
            begin(&mut definition.trivia, true);
        }
        begin(&mut definition.relations_trivia, false);
        if let Some(RelationDefinition { trivia, .. }) = definition.relations.first_mut() {
            begin(trivia, false);
        }
        after_bare = is_bare(definition);
    }
    for condition in &mut tree.conditions {
        begin(&mut condition.trivia, true);
    }
    begin_comments(&mut tree.tail, true);
}

/// Types of one line may follow each other without a blank line between them.
fn is_bare(definition: &TypeDefinition) -> bool {
    definition.relations.is_empty() && definition.tail.is_empty()
}

fn begin(trivia: &mut Trivia, blank: bool) {
    match trivia.comments.first_mut() {
        Some(first) => first.blank_before = blank,
        None => trivia.blank_before = blank,
    }
}

fn begin_comments(comments: &mut [Comment], blank: bool) {
    if let Some(first) = comments.first_mut() {
        first.blank_before = blank;
    }
}
