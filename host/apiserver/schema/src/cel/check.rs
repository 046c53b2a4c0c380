//! Types and costs of expressions, found before any object is judged.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cel::common::ast::{CallExpr, Expr, LiteralValue, SelectExpr};
use cel::parser::Expression;

use super::cost::{self, Operand, Range};
use super::escape::reserved;
use super::signatures::{self, Overload};
use super::typed::{Typed, joined_item_size, literal_type};
use super::types::{Decl, DeclKind, Order, Type};
use super::unify::Unifier;

/// What a rule may refer to.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    /// What `self` is.
    pub(super) value: Arc<Decl>,
    /// Whether `oldSelf` may be absent.
    pub(super) optional_old: bool,
}

/// What is found out about an expression.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) kind: Type,
    /// The most it can cost.
    pub(super) max_cost: u64,
    pub(super) uses_old: bool,
    /// The comparisons, by expression id, in which the order of some lists means nothing.
    pub(super) unordered: HashMap<u64, Arc<Decl>>,
}

/// A mistake, at the expression with that id.
#[derive(Debug, PartialEq)]
pub(super) struct Mistake {
    pub(super) id: u64,
    pub(super) text: String,
}

/// Checks an expression.
pub(super) fn check(expression: &Expression, scope: &Scope) -> Result<Checked, Vec<Mistake>> {
    let mut checker = Checker {
        scope,
        locals: Vec::new(),
        types: Unifier::default(),
        mistakes: Vec::new(),
        uses_old: false,
        unordered: HashMap::new(),
    };
    let typed = checker.expression(expression);
    if !checker.mistakes.is_empty() {
        return Err(checker.mistakes);
    }
    let kind = checker.types.settle(&typed.kind);
    Ok(Checked {
        kind,
        max_cost: typed.cost.max,
        uses_old: checker.uses_old,
        unordered: checker.unordered,
    })
}

/// A field by its name in rules. Words that CEL keeps for itself may be written plainly after a dot.
fn field<'f>(fields: &'f BTreeMap<String, Arc<Decl>>, name: &str) -> Option<&'f Arc<Decl>> {
    fields.get(name).or_else(|| fields.get(&reserved(name)?))
}

/// What is taken out of a value in which order is loose may be what is loose.
pub(super) fn taken_from(order: Order) -> Order {
    if order == Order::Kept {
        order
    } else {
        Order::Loose
    }
}

/// The names of types that rules may compare with; `type(x) == int`.
pub(super) fn named_type(name: &str) -> Option<Type> {
    Some(match name {
        "bool" => Type::Bool,
        "int" => Type::Int,
        "uint" => Type::Uint,
        "double" => Type::Double,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "null_type" => Type::Null,
        "list" => Type::list(Type::Dyn),
        "map" => Type::map(Type::Dyn, Type::Dyn),
        _ => return None,
    })
}

/// One check under way.
pub(super) struct Checker<'a> {
    scope: &'a Scope,
    pub(super) locals: Vec<(String, Typed)>,
    pub(super) types: Unifier,
    mistakes: Vec<Mistake>,
    uses_old: bool,
    pub(super) unordered: HashMap<u64, Arc<Decl>>,
}

impl Checker<'_> {
    pub(super) fn mistake(&mut self, id: u64, text: String) -> Typed {
        let mistake = Mistake { id, text };
        if !self.mistakes.contains(&mistake) {
            self.mistakes.push(mistake);
        }
        // Whatever follows from a mistake is not reported again.
        Typed::new(Type::Dyn, Range::ZERO)
    }

    pub(super) fn expression(&mut self, expression: &Expression) -> Typed {
        let id = expression.id;
        match &expression.expr {
            Expr::Literal(literal) => literal_type(literal),
            Expr::Ident(name) => self.ident(id, name),
            Expr::Select(select) => self.select(id, select),
            Expr::Call(call) => self.call(id, call),
            Expr::List(list) => self.list(id, list),
            Expr::Map(map) => self.map(id, map),
            Expr::Comprehension(comprehension) => self.comprehension(id, comprehension),
            Expr::Struct(created) => self.mistake(
                id,
                format!(
                    "undeclared reference to '{}' (in container '')",
                    created.type_name
                ),
            ),
            Expr::Unspecified => self.mistake(id, "unexpected empty expression".to_owned()),
        }
    }

    fn ident(&mut self, id: u64, name: &str) -> Typed {
        if let Some((_, local)) = self.locals.iter().rev().find(|(local, _)| local == name) {
            return Typed {
                cost: Range::ONE,
                ..local.clone()
            };
        }
        match name {
            "self" => Typed::declared(&self.scope.value, Range::ONE),
            "oldSelf" => {
                self.uses_old = true;
                let mut old = Typed::declared(&self.scope.value, Range::ONE);
                if self.scope.optional_old {
                    old.kind = Type::optional(old.kind);
                    old.place = None;
                }
                old
            }
            name => match named_type(name) {
                Some(kind) => Typed::new(Type::Meta(Arc::new(kind)), Range::ONE),
                None => self.mistake(
                    id,
                    format!("undeclared reference to '{name}' (in container '')"),
                ),
            },
        }
    }

    fn select(&mut self, id: u64, select: &SelectExpr) -> Typed {
        let operand = self.expression(&select.operand);
        let kind = self.types.resolve(&operand.kind);
        let step = if select.test || matches!(kind, Type::Dyn) {
            Range::ZERO
        } else {
            Range::ONE
        };
        let cost = operand.cost.plus(step);
        let selected = match &kind {
            Type::Object(decl) => match &decl.kind {
                DeclKind::Object(fields) => match field(fields, &select.field) {
                    Some(field) => Typed::declared(field, cost),
                    None => return self.mistake(id, format!("undefined field '{}'", select.field)),
                },
                _ => return self.mistake(id, format!("undefined field '{}'", select.field)),
            },
            Type::Map(_, value) => match operand.place.as_deref().map(|place| &place.kind) {
                // An entry taken by its name is not looked up in the schema for its size, upstream.
                Some(DeclKind::Map(value)) => {
                    let declared = Typed::declared(value, cost);
                    Typed {
                        size: declared.kind.natural_size(),
                        ..declared
                    }
                }
                _ => Typed {
                    order: taken_from(operand.order),
                    ..Typed::new(value.as_ref().clone(), cost)
                },
            },
            Type::Dyn => Typed::new(Type::Dyn, cost),
            other => {
                return self.mistake(
                    id,
                    format!("type '{other}' does not support field selection"),
                );
            }
        };
        if select.test {
            Typed::new(Type::Bool, cost)
        } else {
            selected
        }
    }

    /// `operand.?field`: an optional, and none if the operand is none or has no such field.
    fn optional_select(&mut self, id: u64, operand: &Expression, name: &str) -> Typed {
        let operand = self.expression(operand);
        let cost = operand.cost.plus(Range::ONE);
        let kind = match self.types.resolve(&operand.kind) {
            Type::Optional(inner) => self.types.resolve(&inner),
            kind => kind,
        };
        let (kind, order) = match &kind {
            Type::Object(decl) => match &decl.kind {
                DeclKind::Object(fields) => match field(fields, name) {
                    Some(field) => (field.to_type(), field.order()),
                    None => return self.mistake(id, format!("undefined field '{name}'")),
                },
                _ => return self.mistake(id, format!("undefined field '{name}'")),
            },
            Type::Map(_, value) => (value.as_ref().clone(), taken_from(self.order(&operand))),
            Type::Dyn => (Type::Dyn, taken_from(self.order(&operand))),
            other => {
                return self.mistake(
                    id,
                    format!("type '{other}' does not support field selection"),
                );
            }
        };
        Typed {
            order,
            ..Typed::new(Type::optional(kind), cost)
        }
    }

    fn call(&mut self, id: u64, call: &CallExpr) -> Typed {
        if let (
            "_?._",
            [
                operand,
                Expression {
                    expr: Expr::Literal(LiteralValue::String(name)),
                    ..
                },
            ],
        ) = (call.func_name.as_str(), call.args.as_slice())
        {
            return self.optional_select(id, operand, name.inner());
        }
        let (name, target) = match call.target.as_deref() {
            None => (call.func_name.clone(), None),
            Some(Expression {
                expr: Expr::Ident(library),
                ..
            }) if signatures::overloads(&format!("{library}.{}", call.func_name)).is_some() => {
                (format!("{library}.{}", call.func_name), None)
            }
            Some(target) => (call.func_name.clone(), Some(self.expression(target))),
        };
        let args: Vec<Typed> = call.args.iter().map(|arg| self.expression(arg)).collect();
        let overloads = match target {
            Some(_) => signatures::methods(&name),
            None => signatures::overloads(&name),
        };
        let Some(overloads) = overloads else {
            return self.mistake(
                id,
                format!("undeclared reference to '{name}' (in container '')"),
            );
        };
        let Some(kind) = self.resolve(overloads, target.as_ref(), &args) else {
            let shown = self.shown(target.as_ref(), &args);
            return self.mistake(
                id,
                format!("found no matching overload for '{name}' applied to '{shown}'"),
            );
        };
        let all: Vec<&Typed> = target.iter().chain(&args).collect();
        self.orderless(id, &name, &all);
        let order = self.result_order(&name, &kind, &all);
        let operands: Vec<Operand> = args.iter().map(|arg| self.operand(arg)).collect();
        let target_operand = target.as_ref().map(|target| self.operand(target));
        let (cost, size) = cost::call(&name, target_operand.as_ref(), &operands);
        let cost = cost.plus(target.as_ref().map_or(Range::ZERO, |target| target.cost));
        let indexed = args
            .first()
            .filter(|_| name == "_[_]")
            .and_then(|list| list.place.as_deref());
        match indexed.map(|place| &place.kind) {
            Some(DeclKind::List { item, .. } | DeclKind::Map(item)) => Typed::declared(item, cost),
            _ if name == "dyn" => {
                let size = operands.first().and_then(|arg| arg.size);
                Typed {
                    size,
                    order,
                    ..Typed::new(Type::Dyn, cost)
                }
            }
            _ => {
                let item_size = joined_item_size(&name, &operands);
                Typed {
                    item_size,
                    order,
                    ..Typed::new(kind, cost).sized(size)
                }
            }
        }
    }

    pub(super) fn operand(&self, typed: &Typed) -> Operand {
        let kind = self.types.resolve(&typed.kind);
        let size = typed.size.or_else(|| kind.natural_size());
        Operand {
            kind,
            size,
            ..typed.operand()
        }
    }

    /// The type of the result: of the one overload that fits, or dyn where several fit and differ.
    fn resolve(
        &mut self,
        overloads: &[Overload],
        target: Option<&Typed>,
        args: &[Typed],
    ) -> Option<Type> {
        let mut result: Option<Type> = None;
        for overload in overloads
            .iter()
            .filter(|overload| overload.args.len() == args.len())
        {
            let mut trial = self.types.clone();
            let wanted = overload.target.iter().chain(&overload.args);
            let wanted: Vec<Type> = wanted.map(|kind| trial.instance(kind)).collect();
            let own = trial.instance(&overload.result);
            trial.reserve(overload.vars);
            let given = target.into_iter().chain(args);
            if !wanted
                .iter()
                .zip(given)
                .all(|(wanted, given)| trial.assign(wanted, &given.kind))
            {
                continue;
            }
            result = Some(match result {
                None => {
                    self.types = trial;
                    own
                }
                Some(first) if trial.same(&self.types.settle(&first), &trial.settle(&own)) => first,
                Some(_) => Type::Dyn,
            });
        }
        result
    }

    fn shown(&self, target: Option<&Typed>, args: &[Typed]) -> String {
        let args: Vec<String> = args
            .iter()
            .map(|arg| self.types.settle(&arg.kind).to_string())
            .collect();
        let target = target.map(|target| format!("{}.", self.types.settle(&target.kind)));
        format!("{}({})", target.unwrap_or_default(), args.join(", "))
    }
}
