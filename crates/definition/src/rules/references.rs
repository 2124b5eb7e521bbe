//! The order in which entities are written: what is referred to comes first.

use std::sync::Arc;

use record::{Entity, Type};

/// Puts entities behind those that they refer to. *Shape*: stable; in a circle the order of the file stays, and the
/// references within it are written in a second pass.
pub(crate) fn order(names: &mut Vec<String>, entities: &[Arc<Entity>]) {
    let refers_to = |name: &str, other: &str| {
        let entity = entities.iter().find(|entity| &*entity.name == name);
        entity.is_some_and(|entity| {
            entity.fields.iter().any(
                |field| matches!(&field.ty, Type::Reference { to } if name != other && to.iter().any(|to| to == other)),
            )
        })
    };
    let mut left = std::mem::take(names);
    while !left.is_empty() {
        let free = left.iter().position(|name| !left.iter().any(|other| refers_to(name, other))).unwrap_or(0);
        names.push(left.remove(free));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::EntityField;

    fn entity(name: &str, refers: &[&str]) -> Arc<Entity> {
        let fields = refers
            .iter()
            .map(|to| EntityField {
                name: (*to).into(),
                ty: Type::Reference { to: [(*to).to_owned()].into() },
                required: false,
                personal: false,
                master: None,
                pattern: None,
                currency: None,
            })
            .collect();
        Arc::new(Entity::new(name, Vec::new(), None, fields))
    }

    #[test]
    fn what_is_referred_to_comes_first() {
        let entities = [
            entity("order", &["customer", "order"]),
            entity("customer", &["country"]),
            entity("country", &[]),
            entity("a", &["b"]),
            entity("b", &["a"]),
        ];
        for (given, expected) in
            [("order customer country", "country customer order"), ("customer order", "customer order"), ("a b", "a b")]
        {
            let mut names: Vec<String> = given.split(' ').map(str::to_owned).collect();
            order(&mut names, &entities);
            assert_eq!(names.join(" "), expected);
        }
    }
}
