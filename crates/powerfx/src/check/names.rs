//! What a name means: a row of a lambda, a slot, a field, a member of an enumeration.

use super::{Checker, Frame, TableArg, Typed, aliased};
use crate::ast::{Expr, ExprKind, Name};
use crate::enums;
use crate::error::{Diagnostic, DiagnosticKind, Span};
use crate::functions;
use crate::node::Node;
use crate::types::{Fields, Type};
use std::sync::Arc;

impl Checker<'_> {
    pub(super) fn name(&mut self, name: &str, span: Span) -> Typed {
        if let Some(found) = self.frame_name(name) {
            return found;
        }
        if let Some(names) = self.scope.root().members.get(name) {
            return self.scope_names(names.clone());
        }
        // A row of unknown type may have any field.
        if let Some(at) = self.frames.iter().rposition(|f| f.row == Type::Unknown && f.alias.is_none()) {
            return Typed::new(Node::FrameField(at, name.into()), Type::Unknown);
        }
        if self.scope.is_open() {
            return self.extra_slot(name);
        }
        self.unknown_name(name, span)
    }

    pub(super) fn unknown_name(&mut self, name: &str, span: Span) -> Typed {
        let mut known: Vec<String> = self.scope.root().members.keys().map(|k| k.to_string()).collect();
        for frame in &self.frames {
            if let Type::Record(fields) = &frame.row {
                known.extend(fields.iter().map(|(n, _)| n.to_string()));
            }
        }
        known.sort();
        known.dedup();
        let help = if enums::find(name).is_some() {
            Some(format!("`{name}` is a set of values; write `{name}.` and the value"))
        } else if functions::find(name).is_some() {
            Some(format!("`{name}` is a function; write `{name}(…)`"))
        } else {
            let mut odd =
                known.iter().filter(|known| *known != &quoted(known) && known.split(is_no_letter).any(|p| p == name));
            odd.next()
                .map(|known| format!("a name such as `{known}` stands in single quotes: {}", quoted(known)))
                .or_else(|| nearest(name, known.iter().map(String::as_str)))
                .or_else(|| listed(&known))
        };
        let message = format!("there is no column or field `{name}` here");
        self.report_with(Diagnostic::new(DiagnosticKind::Name, span, message).help(help))
    }

    pub(super) fn frame_name(&self, name: &str) -> Option<Typed> {
        for (at, frame) in self.frames.iter().enumerate().rev() {
            let whole = match &frame.alias {
                Some(alias) => alias == name,
                None => name == "ThisRecord" && frame.this_record,
            };
            if whole {
                return Some(Typed::new(Node::Frame(at), frame.row.clone()));
            }
            // With a name of its own, a row's fields are reached by that name only.
            let bare = frame.alias.as_deref().is_none_or(|alias| alias == "ThisRecord");
            if let (true, Type::Record(fields)) = (bare, &frame.row)
                && let Some(ty) = fields.get(name)
            {
                return Some(Typed::new(Node::FrameField(at, name.into()), ty.clone()));
            }
        }
        None
    }

    pub(super) fn slot(&mut self, slot: usize) -> Typed {
        if !self.slots.contains(&slot) {
            self.slots.push(slot);
        }
        let ty = self.scope.ty(slot).cloned().unwrap_or(Type::Unknown);
        Typed::new(Node::Slot(slot), ty)
    }

    pub(super) fn extra_slot(&mut self, path: &str) -> Typed {
        let at = self.extra.iter().position(|p| **p == *path).unwrap_or_else(|| {
            self.extra.push(path.into());
            self.extra.len() - 1
        });
        self.slot(self.scope.len() + at)
    }

    /// A name of the scope: its slot, or a record of the slots below it.
    pub(super) fn scope_names(&mut self, names: crate::scope::Names) -> Typed {
        if let Some(slot) = names.slot {
            return self.slot(slot);
        }
        let (mut fields, mut nodes, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        for (name, below) in names.members {
            let member = self.scope_names(below);
            keys.push(name.clone());
            fields.push((name, member.ty));
            nodes.push(member.node);
        }
        Typed::new(Node::Record(keys.into(), nodes), Type::Record(Fields::new(fields)))
    }

    pub(super) fn dot(&mut self, whole: &Expr, of: &Expr, name: &Name) -> Typed {
        if let Some(found) = self.dotted_slot(whole) {
            return found;
        }
        if let ExprKind::Name(left) = &of.kind
            && self.frame_name(left).is_none()
            && !self.scope.root().members.contains_key(left.as_str())
            && let Some(set) = enums::find(left)
        {
            return self.enum_member(&set, name);
        }
        let left = self.expr(of);
        match &left.ty {
            Type::Record(fields) => match fields.get(&name.text) {
                Some(ty) => {
                    let ty = ty.clone();
                    Typed::new(Node::Field(Box::new(left.node), name.text.as_str().into()), ty)
                }
                None => {
                    let known: Vec<String> = fields.iter().map(|(n, _)| n.to_string()).collect();
                    let help = nearest(&name.text, known.iter().map(String::as_str)).or_else(|| listed(&known));
                    let message = format!("this record has no field `{}`", name.text);
                    self.report_with(Diagnostic::new(DiagnosticKind::Name, name.span, message).help(help))
                }
            },
            Type::Untyped => Typed::new(Node::Field(Box::new(left.node), name.text.as_str().into()), Type::Untyped),
            Type::Unknown | Type::Blank | Type::Error => {
                let ty = if left.ty == Type::Error { Type::Error } else { Type::Unknown };
                Typed::new(Node::Field(Box::new(left.node), name.text.as_str().into()), ty)
            }
            Type::Table(_) => {
                let message =
                    "a table has no fields; take a row with First, LookUp or Index, or columns with ShowColumns";
                self.type_error(name.span, message)
            }
            other => {
                let message = format!("`.{}` needs a record on its left, this is {other}", name.text);
                self.type_error(name.span, message)
            }
        }
    }

    /// A dotted path that the scope has a slot for, or that an open scope takes in.
    pub(super) fn dotted_slot(&mut self, whole: &Expr) -> Option<Typed> {
        let mut parts = Vec::new();
        let mut at = whole;
        loop {
            match &at.kind {
                ExprKind::Dot(of, name) => {
                    parts.push(name.text.as_str());
                    at = of;
                }
                ExprKind::Name(name) => {
                    parts.push(name.as_str());
                    break;
                }
                _ => return None,
            }
        }
        parts.reverse();
        if self.frame_name(parts[0]).is_some() {
            return None;
        }
        let mut names = self.scope.root();
        for (depth, part) in parts.iter().enumerate() {
            match names.members.get(*part) {
                Some(below) => names = below,
                None if depth == 0 && self.scope.is_open() && enums::find(parts[0]).is_none() => {
                    return Some(self.extra_slot(&parts.join(".")));
                }
                None => return None,
            }
        }
        Some(self.scope_names(names.clone()))
    }

    pub(super) fn enum_member(&mut self, set: &Arc<crate::types::ChoiceSet>, name: &Name) -> Typed {
        match enums::member(set, &name.text) {
            Some(value) => Typed::new(Node::Const(value), Type::Choice(set.clone())),
            None => {
                let names: Vec<String> = set.members.iter().map(|(n, _)| n.to_string()).collect();
                let help = nearest(&name.text, names.iter().map(String::as_str)).or_else(|| listed(&names));
                let message = format!("`{}` has no value `{}`", set.name, name.text);
                self.report_with(Diagnostic::new(DiagnosticKind::Name, name.span, message).help(help))
            }
        }
    }

    /// Checks an expression that runs once for each row.
    pub fn lambda(&mut self, row: &Type, alias: &Option<String>, e: &Expr) -> Typed {
        self.frames.push(Frame { row: row.clone(), alias: alias.clone(), this_record: true });
        let body = self.expr(e);
        self.frames.pop();
        body
    }

    /// Checks a fallback, which sees `FirstError` and `AllErrors`.
    pub fn fallback(&mut self, e: &Expr) -> Typed {
        self.frames.push(Frame { row: enums::error_frame(), alias: None, this_record: false });
        let body = self.expr(e);
        self.frames.pop();
        body
    }

    /// A table argument, with `As` where it is written.
    pub fn table(&mut self, e: &Expr) -> Option<TableArg> {
        let (inner, alias) = aliased(e);
        let arg = self.expr(inner);
        self.table_of(arg, inner.span, alias)
    }

    /// The same for an argument that was checked already.
    pub fn table_of(&mut self, arg: Typed, span: Span, alias: Option<String>) -> Option<TableArg> {
        let row = match arg.ty {
            Type::Table(fields) => Type::Record(fields),
            Type::Untyped => Type::Untyped,
            Type::Unknown => Type::Unknown,
            Type::Blank => Type::Record(Fields::default()),
            Type::Error => Type::Unknown,
            other => {
                self.type_error(span, format!("expected a table, found {other}"));
                return None;
            }
        };
        Some(TableArg { node: arg.node, row, alias })
    }
}

/// "did you mean", for a name that is close to one of those that exist.
pub(crate) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<String> {
    let lower = name.to_lowercase();
    let far = (name.chars().count() / 3).max(1);
    known
        .map(|k| (strsim::damerau_levenshtein(&lower, &k.to_lowercase()), k))
        .filter(|(distance, _)| *distance <= far)
        .min()
        .map(|(_, k)| format!("did you mean `{k}`?"))
}

pub(super) fn listed(known: &[String]) -> Option<String> {
    if known.is_empty() || known.len() > 40 {
        return None;
    }
    Some(format!("there are: {}", known.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")))
}

fn is_no_letter(sign: char) -> bool {
    !sign.is_alphanumeric() && sign != '_'
}

/// A name as a formula has it: in single quotes where it would be read as something else.
fn quoted(name: &str) -> String {
    let is_plain = !name.contains(is_no_letter) && !name.starts_with(|sign: char| sign.is_numeric());
    if is_plain { name.to_owned() } else { format!("'{}'", name.replace('\'', "''")) }
}
