//! Types and costs of expressions, found before any object is judged.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cel::common::ast::{CallExpr, Expr, LiteralValue, SelectExpr};
use cel::parser::Expression;

use super::cost::{self, EstimateRange, OperandEstimate};
use super::escape::escape_reserved;
use super::overloads::{self, FunctionOverload};
use super::type_unifier::TypeUnifier;
use super::typed_expression::{TypedExpression, joined_item_size, typed_literal};
use super::types::{CelType, DeclKind, DeclType, ListOrder};

/// What a rule may refer to.
#[derive(Clone, Debug)]
pub(super) struct RuleEnvironment {
    /// What `self` is.
    pub(super) self_decl: Arc<DeclType>,
    /// Whether `oldSelf` may be absent.
    pub(super) optional_old_self: bool,
}

/// What is found out about an expression.
#[derive(Debug)]
pub(super) struct CheckedExpression {
    pub(super) result_type: CelType,
    /// The most it can cost.
    pub(super) max_cost: u64,
    pub(super) uses_old_self: bool,
    /// The comparisons, by expression id, in which the order of some lists means nothing.
    pub(super) unordered_comparisons: HashMap<u64, Arc<DeclType>>,
}

/// A mistake, at the expression with that id.
#[derive(Debug, PartialEq)]
pub(super) struct CheckError {
    pub(super) expression_id: u64,
    pub(super) message: String,
}

/// Checks an expression.
pub(super) fn check_expression(
    expression: &Expression,
    environment: &RuleEnvironment,
) -> Result<CheckedExpression, Vec<CheckError>> {
    let mut checker = TypeChecker {
        scope: environment,
        locals: Vec::new(),
        types: TypeUnifier::default(),
        errors: Vec::new(),
        uses_old: false,
        unordered: HashMap::new(),
    };
    let typed = checker.infer(expression);
    if !checker.errors.is_empty() {
        return Err(checker.errors);
    }
    let kind = checker.types.substitute(&typed.cel_type);
    Ok(CheckedExpression {
        result_type: kind,
        max_cost: typed.cost.max,
        uses_old_self: checker.uses_old,
        unordered_comparisons: checker.unordered,
    })
}

/// A field by its name in rules. Words that CEL keeps for itself may be written plainly after a dot.
fn find_field<'f>(
    fields: &'f BTreeMap<String, Arc<DeclType>>,
    name: &str,
) -> Option<&'f Arc<DeclType>> {
    fields
        .get(name)
        .or_else(|| fields.get(&escape_reserved(name)?))
}

/// What is taken out of a value in which order is loose may be what is loose.
pub(super) fn element_order(order: ListOrder) -> ListOrder {
    if order == ListOrder::Significant {
        order
    } else {
        ListOrder::Insignificant
    }
}

/// The names of types that rules may compare with; `type(x) == int`.
pub(super) fn named_type(name: &str) -> Option<CelType> {
    Some(match name {
        "bool" => CelType::Bool,
        "int" => CelType::Int,
        "uint" => CelType::Uint,
        "double" => CelType::Double,
        "string" => CelType::String,
        "bytes" => CelType::Bytes,
        "null_type" => CelType::Null,
        "list" => CelType::list(CelType::Dyn),
        "map" => CelType::map(CelType::Dyn, CelType::Dyn),
        _ => return None,
    })
}

/// One check under way.
pub(super) struct TypeChecker<'a> {
    scope: &'a RuleEnvironment,
    pub(super) locals: Vec<(String, TypedExpression)>,
    pub(super) types: TypeUnifier,
    errors: Vec<CheckError>,
    uses_old: bool,
    pub(super) unordered: HashMap<u64, Arc<DeclType>>,
}

impl TypeChecker<'_> {
    pub(super) fn report(&mut self, id: u64, text: String) -> TypedExpression {
        let mistake = CheckError {
            expression_id: id,
            message: text,
        };
        if !self.errors.contains(&mistake) {
            self.errors.push(mistake);
        }
        // Whatever follows from a mistake is not reported again.
        TypedExpression::new(CelType::Dyn, EstimateRange::ZERO)
    }

    pub(super) fn infer(&mut self, expression: &Expression) -> TypedExpression {
        let id = expression.id;
        match &expression.expr {
            Expr::Literal(literal) => typed_literal(literal),
            Expr::Ident(name) => self.infer_ident(id, name),
            Expr::Select(select) => self.infer_select(id, select),
            Expr::Call(call) => self.infer_call(id, call),
            Expr::List(list) => self.infer_list(id, list),
            Expr::Map(map) => self.infer_map(id, map),
            Expr::Comprehension(comprehension) => self.infer_comprehension(id, comprehension),
            Expr::Struct(created) => self.report(
                id,
                format!(
                    "undeclared reference to '{}' (in container '')",
                    created.type_name
                ),
            ),
            Expr::Unspecified => self.report(id, "unexpected empty expression".to_owned()),
        }
    }

    fn infer_ident(&mut self, id: u64, name: &str) -> TypedExpression {
        if let Some((_, local)) = self.locals.iter().rev().find(|(local, _)| local == name) {
            return TypedExpression {
                cost: EstimateRange::ONE,
                ..local.clone()
            };
        }
        match name {
            "self" => TypedExpression::declared(&self.scope.self_decl, EstimateRange::ONE),
            "oldSelf" => {
                self.uses_old = true;
                let mut old = TypedExpression::declared(&self.scope.self_decl, EstimateRange::ONE);
                if self.scope.optional_old_self {
                    old.cel_type = CelType::optional(old.cel_type);
                    old.decl = None;
                }
                old
            }
            name => match named_type(name) {
                Some(kind) => {
                    TypedExpression::new(CelType::Meta(Arc::new(kind)), EstimateRange::ONE)
                }
                None => self.report(
                    id,
                    format!("undeclared reference to '{name}' (in container '')"),
                ),
            },
        }
    }

    fn infer_select(&mut self, id: u64, select: &SelectExpr) -> TypedExpression {
        let operand = self.infer(&select.operand);
        let kind = self.types.resolve(&operand.cel_type);
        let step = if select.test || matches!(kind, CelType::Dyn) {
            EstimateRange::ZERO
        } else {
            EstimateRange::ONE
        };
        let cost = operand.cost.plus(step);
        let selected = match &kind {
            CelType::Object(decl) => match &decl.kind {
                DeclKind::Object(fields) => match find_field(fields, &select.field) {
                    Some(field) => TypedExpression::declared(field, cost),
                    None => return self.report(id, format!("undefined field '{}'", select.field)),
                },
                _ => return self.report(id, format!("undefined field '{}'", select.field)),
            },
            CelType::Map(_, value) => match operand.decl.as_deref().map(|place| &place.kind) {
                // An entry taken by its name is not looked up in the schema for its size, upstream.
                Some(DeclKind::Map(value)) => {
                    let declared = TypedExpression::declared(value, cost);
                    TypedExpression {
                        size: declared.cel_type.natural_size(),
                        ..declared
                    }
                }
                _ => TypedExpression {
                    list_order: element_order(operand.list_order),
                    ..TypedExpression::new(value.as_ref().clone(), cost)
                },
            },
            CelType::Dyn => TypedExpression::new(CelType::Dyn, cost),
            other => {
                return self.report(
                    id,
                    format!("type '{other}' does not support field selection"),
                );
            }
        };
        if select.test {
            TypedExpression::new(CelType::Bool, cost)
        } else {
            selected
        }
    }

    /// `operand.?field`: an optional, and none if the operand is none or has no such field.
    fn infer_optional_select(
        &mut self,
        id: u64,
        operand: &Expression,
        name: &str,
    ) -> TypedExpression {
        let operand = self.infer(operand);
        let cost = operand.cost.plus(EstimateRange::ONE);
        let kind = match self.types.resolve(&operand.cel_type) {
            CelType::Optional(inner) => self.types.resolve(&inner),
            kind => kind,
        };
        let (kind, order) = match &kind {
            CelType::Object(decl) => match &decl.kind {
                DeclKind::Object(fields) => match find_field(fields, name) {
                    Some(field) => (field.to_type(), field.list_order()),
                    None => return self.report(id, format!("undefined field '{name}'")),
                },
                _ => return self.report(id, format!("undefined field '{name}'")),
            },
            CelType::Map(_, value) => (
                value.as_ref().clone(),
                element_order(self.list_order(&operand)),
            ),
            CelType::Dyn => (CelType::Dyn, element_order(self.list_order(&operand))),
            other => {
                return self.report(
                    id,
                    format!("type '{other}' does not support field selection"),
                );
            }
        };
        TypedExpression {
            list_order: order,
            ..TypedExpression::new(CelType::optional(kind), cost)
        }
    }

    fn infer_call(&mut self, id: u64, call: &CallExpr) -> TypedExpression {
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
            return self.infer_optional_select(id, operand, name.inner());
        }
        let (name, target) = match call.target.as_deref() {
            None => (call.func_name.clone(), None),
            Some(Expression {
                expr: Expr::Ident(library),
                ..
            }) if overloads::function_overloads(&format!("{library}.{}", call.func_name))
                .is_some() =>
            {
                (format!("{library}.{}", call.func_name), None)
            }
            Some(target) => (call.func_name.clone(), Some(self.infer(target))),
        };
        let args: Vec<TypedExpression> = call.args.iter().map(|arg| self.infer(arg)).collect();
        let overloads = match target {
            Some(_) => overloads::method_overloads(&name),
            None => overloads::function_overloads(&name),
        };
        let Some(overloads) = overloads else {
            return self.report(
                id,
                format!("undeclared reference to '{name}' (in container '')"),
            );
        };
        let Some(kind) = self.resolve_overload(overloads, target.as_ref(), &args) else {
            let shown = self.format_signature(target.as_ref(), &args);
            return self.report(
                id,
                format!("found no matching overload for '{name}' applied to '{shown}'"),
            );
        };
        let all: Vec<&TypedExpression> = target.iter().chain(&args).collect();
        self.check_list_order(id, &name, &all);
        let order = self.result_order(&name, &kind, &all);
        let operands: Vec<OperandEstimate> =
            args.iter().map(|arg| self.estimate_operand(arg)).collect();
        let target_operand = target.as_ref().map(|target| self.estimate_operand(target));
        let (cost, size) = cost::estimate_call(&name, target_operand.as_ref(), &operands);
        let cost = cost.plus(
            target
                .as_ref()
                .map_or(EstimateRange::ZERO, |target| target.cost),
        );
        let indexed = args
            .first()
            .filter(|_| name == "_[_]")
            .and_then(|list| list.decl.as_deref());
        match indexed.map(|place| &place.kind) {
            Some(DeclKind::List { item, .. } | DeclKind::Map(item)) => {
                TypedExpression::declared(item, cost)
            }
            _ if name == "dyn" => {
                let size = operands.first().and_then(|arg| arg.size);
                TypedExpression {
                    size,
                    list_order: order,
                    ..TypedExpression::new(CelType::Dyn, cost)
                }
            }
            _ => {
                let item_size = joined_item_size(&name, &operands);
                TypedExpression {
                    item_size,
                    list_order: order,
                    ..TypedExpression::new(kind, cost).with_size(size)
                }
            }
        }
    }

    pub(super) fn estimate_operand(&self, typed: &TypedExpression) -> OperandEstimate {
        let kind = self.types.resolve(&typed.cel_type);
        let size = typed.size.or_else(|| kind.natural_size());
        OperandEstimate {
            cel_type: kind,
            size,
            ..typed.estimate()
        }
    }

    /// The type of the result: of the one overload that fits, or dyn where several fit and differ.
    fn resolve_overload(
        &mut self,
        overloads: &[FunctionOverload],
        target: Option<&TypedExpression>,
        args: &[TypedExpression],
    ) -> Option<CelType> {
        let mut result: Option<CelType> = None;
        for overload in overloads
            .iter()
            .filter(|overload| overload.args.len() == args.len())
        {
            let mut trial = self.types.clone();
            let wanted = overload.target.iter().chain(&overload.args);
            let wanted: Vec<CelType> = wanted.map(|kind| trial.instantiate(kind)).collect();
            let own = trial.instantiate(&overload.result);
            trial.reserve(overload.variable_count);
            let given = target.into_iter().chain(args);
            if !wanted
                .iter()
                .zip(given)
                .all(|(wanted, given)| trial.unify(wanted, &given.cel_type))
            {
                continue;
            }
            result = Some(match result {
                None => {
                    self.types = trial;
                    own
                }
                Some(first)
                    if trial.is_same(&self.types.substitute(&first), &trial.substitute(&own)) =>
                {
                    first
                }
                Some(_) => CelType::Dyn,
            });
        }
        result
    }

    fn format_signature(
        &self,
        target: Option<&TypedExpression>,
        args: &[TypedExpression],
    ) -> String {
        let args: Vec<String> = args
            .iter()
            .map(|arg| self.types.substitute(&arg.cel_type).to_string())
            .collect();
        let target = target.map(|target| format!("{}.", self.types.substitute(&target.cel_type)));
        format!("{}({})", target.unwrap_or_default(), args.join(", "))
    }
}
