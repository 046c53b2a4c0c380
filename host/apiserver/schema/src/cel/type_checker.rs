//! The type checker, which also estimates the costs of expressions.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cel::common::ast::{Expr, SelectExpr};
use cel::parser::Expression;

use super::cost::{EstimateRange, OperandEstimate};
use super::environment::{OLD_SELF, VariableEnvironment};
use super::escape::escape_reserved;
use super::type_unifier::TypeUnifier;
use super::typed_expression::{TypedExpression, typed_literal};
use super::types::{CelType, DeclKind, DeclType, ListOrder};

/// The result of checking an expression.
#[derive(Debug)]
pub(super) struct CheckedExpression {
    pub(super) result_type: CelType,
    /// The maximum estimated cost.
    pub(super) max_cost: u64,
    pub(super) uses_old_self: bool,
    /// The comparisons, by expression ID, that ignore the order of some lists.
    pub(super) unordered_comparisons: HashMap<u64, Arc<DeclType>>,
}

/// An error at one expression.
#[derive(Debug, PartialEq)]
pub(super) struct CheckError {
    pub(super) expression_id: u64,
    pub(super) message: String,
}

/// Checks an expression and infers its type and its cost.
pub(super) fn check_expression(
    expression: &Expression,
    environment: &VariableEnvironment,
) -> Result<CheckedExpression, Vec<CheckError>> {
    let mut checker = TypeChecker {
        environment,
        locals: Vec::new(),
        types: TypeUnifier::default(),
        errors: Vec::new(),
        uses_old_self: false,
        unordered_comparisons: HashMap::new(),
    };
    let typed = checker.infer(expression);
    if !checker.errors.is_empty() {
        return Err(checker.errors);
    }
    let ty = checker.types.substitute(&typed.cel_type);
    Ok(CheckedExpression {
        result_type: ty,
        max_cost: typed.cost.max,
        uses_old_self: checker.uses_old_self,
        unordered_comparisons: checker.unordered_comparisons,
    })
}

/// Returns a field by its name in rules. After a dot, reserved words need not be escaped.
fn find_field<'f>(
    fields: &'f BTreeMap<String, Arc<DeclType>>,
    name: &str,
) -> Option<&'f Arc<DeclType>> {
    fields
        .get(name)
        .or_else(|| fields.get(&escape_reserved(name)?))
}

/// Returns the list order of an element of a value: the element may be the list whose order is not significant.
pub(super) fn element_order(order: ListOrder) -> ListOrder {
    if order == ListOrder::Significant {
        order
    } else {
        ListOrder::Insignificant
    }
}

/// Returns the type with this name, for comparisons such as `type(x) == int`.
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

/// The state of one check.
pub(super) struct TypeChecker<'a> {
    environment: &'a VariableEnvironment,
    pub(super) locals: Vec<(String, TypedExpression)>,
    pub(super) types: TypeUnifier,
    errors: Vec<CheckError>,
    uses_old_self: bool,
    pub(super) unordered_comparisons: HashMap<u64, Arc<DeclType>>,
}

impl TypeChecker<'_> {
    /// Reports an error; returns a placeholder for the expression.
    pub(super) fn report(&mut self, expression_id: u64, message: String) -> TypedExpression {
        let error = CheckError {
            expression_id,
            message,
        };
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
        // `dyn` fits everywhere, so that consequences of the error are not reported.
        TypedExpression::new(CelType::Dyn, EstimateRange::ZERO)
    }

    /// Infers the type, size, and cost of an expression.
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
        if let Some(variable) = self.environment.find(name) {
            self.uses_old_self |= name == OLD_SELF;
            return variable;
        }
        match named_type(name) {
            Some(ty) => TypedExpression::new(CelType::Meta(Arc::new(ty)), EstimateRange::ONE),
            None => self.report(
                id,
                format!("undeclared reference to '{name}' (in container '')"),
            ),
        }
    }

    /// Returns the variable that a selection is as a whole: `authorizer.requestResource`.
    fn find_qualified(&self, select: &SelectExpr) -> Option<TypedExpression> {
        let Expr::Ident(name) = &select.operand.expr else {
            return None;
        };
        if select.test || self.locals.iter().any(|(local, _)| local == name) {
            return None;
        }
        self.environment.find(&format!("{name}.{}", select.field))
    }

    fn infer_select(&mut self, id: u64, select: &SelectExpr) -> TypedExpression {
        if let Some(variable) = self.find_qualified(select) {
            return variable;
        }
        let operand = self.infer(&select.operand);
        let ty = self.types.resolve(&operand.cel_type);
        if let CelType::Optional(_) = ty {
            let selected = self.infer_optional_select(id, &operand, &select.field);
            return if select.test {
                TypedExpression::new(CelType::Bool, selected.cost)
            } else {
                selected
            };
        }
        let step = if select.test || matches!(ty, CelType::Dyn) {
            EstimateRange::ZERO
        } else {
            EstimateRange::ONE
        };
        let cost = operand.cost.plus(step);
        let selected = match &ty {
            CelType::Object(decl) => match &decl.kind {
                DeclKind::Object(fields) => match find_field(fields, &select.field) {
                    Some(field) => TypedExpression::declared(field, cost),
                    None => return self.report(id, format!("undefined field '{}'", select.field)),
                },
                _ => return self.report(id, format!("undefined field '{}'", select.field)),
            },
            CelType::Map(_, value) => match operand.decl.as_deref().map(|decl| &decl.kind) {
                // Upstream does not use the size that the schema declares for an entry that is selected by name.
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
            other => return self.report_selection(id, other),
        };
        if select.test {
            TypedExpression::new(CelType::Bool, cost)
        } else {
            selected
        }
    }

    fn report_selection(&mut self, id: u64, ty: &CelType) -> TypedExpression {
        let message = match ty {
            // Upstream takes types of libraries for objects, and finds no such object.
            CelType::Opaque(name) => format!("unexpected failed resolution of '{name}'"),
            other => format!("type '{other}' does not support field selection"),
        };
        self.report(id, message)
    }

    /// Infers the type of `operand.?field`, and of `operand.field` where the operand is an optional: an optional, empty if the operand is empty or has no such field.
    pub(super) fn infer_optional_select(
        &mut self,
        id: u64,
        operand: &TypedExpression,
        name: &str,
    ) -> TypedExpression {
        let cost = operand.cost.plus(EstimateRange::ONE);
        let ty = match self.types.resolve(&operand.cel_type) {
            CelType::Optional(inner) => self.types.resolve(&inner),
            ty => ty,
        };
        let (ty, order) = match &ty {
            CelType::Object(decl) => match &decl.kind {
                DeclKind::Object(fields) => match find_field(fields, name) {
                    Some(field) => (field.to_type(), field.list_order()),
                    None => return self.report(id, format!("undefined field '{name}'")),
                },
                _ => return self.report(id, format!("undefined field '{name}'")),
            },
            CelType::Map(_, value) => (
                value.as_ref().clone(),
                element_order(self.list_order(operand)),
            ),
            CelType::Dyn | CelType::Var(_) => {
                (CelType::Dyn, element_order(self.list_order(operand)))
            }
            other => return self.report_selection(id, other),
        };
        TypedExpression {
            list_order: order,
            ..TypedExpression::new(CelType::optional(ty), cost)
        }
    }

    /// Returns the estimate of an operand whose type may contain variables.
    pub(super) fn estimate_operand(&self, typed: &TypedExpression) -> OperandEstimate {
        let ty = self.types.resolve(&typed.cel_type);
        let size = typed.size.or_else(|| ty.natural_size());
        OperandEstimate {
            cel_type: ty,
            size,
            ..typed.estimate()
        }
    }
}
