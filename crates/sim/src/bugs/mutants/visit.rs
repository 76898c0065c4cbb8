//! From the text of a file to all that can be taken away from it.

use std::{mem::discriminant, ops::Range};

use proc_macro2::Span;
use syn::{
    Arm, Attribute, BinOp, Block, Expr, ExprBinary, ExprIf, ExprMethodCall, ExprWhile, ImplItemFn,
    ItemConst, ItemFn, ItemImpl, ItemMod, ReturnType, Signature, Stmt, Type,
    spanned::Spanned,
    visit::{self, Visit},
};

/// Something of a file that can be taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mutant {
    /// In which function.
    pub(super) function: String,
    pub(super) at: Range<usize>,
    /// What stands there then.
    pub(super) without: String,
}

/// Methods whose last argument says of a row whether it is meant.
const CHOOSING: [&str; 12] = [
    "all",
    "any",
    "extract_if",
    "filter",
    "find",
    "is_none_or",
    "is_some_and",
    "position",
    "retain",
    "skip_while",
    "take_if",
    "take_while",
];

/// Everything that can be taken away from a file: each statement; each condition, which then holds
/// always or never, and each part of it; each choice among rows; each of the two that a `max` or a
/// `min` is of. What only tests, or people who read, see of it is left out.
pub(super) fn mutants(text: &str) -> syn::Result<Vec<Mutant>> {
    let mut visitor = Visitor { text, functions: Vec::new(), mutants: Vec::new() };
    visitor.visit_file(&syn::parse_file(text)?);
    Ok(visitor.mutants)
}

struct Visitor<'t> {
    text: &'t str,
    functions: Vec<String>,
    mutants: Vec<Mutant>,
}

impl Visitor<'_> {
    fn take(&mut self, at: Span, without: &str) {
        let function = self.functions.last().cloned().unwrap_or_default();
        let mutant = Mutant { function, at: at.byte_range(), without: without.to_owned() };
        if !self.mutants.contains(&mutant) && self.text[mutant.at.clone()] != mutant.without {
            self.mutants.push(mutant);
        }
    }

    fn text_of(&self, part: &impl Spanned) -> String {
        self.text[part.span().byte_range()].to_owned()
    }

    /// It holds always, and never.
    fn settle(&mut self, condition: &Expr) {
        if !binds(condition) {
            self.take(condition.span(), "true");
            self.take(condition.span(), "false");
        }
    }

    fn function(&mut self, signature: &Signature, block: &Block) {
        self.functions.push(signature.ident.to_string());
        if let ReturnType::Type(_, returned) = &signature.output
            && matches!(&**returned, Type::Path(path) if path.path.is_ident("bool"))
            && let Some(Stmt::Expr(last, None)) = block.stmts.last()
        {
            self.settle(last);
        }
    }
}

/// Whether something in a condition has a name after it, which nothing can stand in for.
fn binds(condition: &Expr) -> bool {
    match condition {
        Expr::Let(_) => true,
        Expr::Binary(both) => binds(&both.left) || binds(&both.right),
        Expr::Match(_) | Expr::Block(_) => true,
        _ => false,
    }
}

/// Whether it is a part of the program itself: not of its tests, and no constant, which no switch
/// can stand in.
fn is_ours(attributes: &[Attribute], signature: Option<&Signature>) -> bool {
    let tests = |one: &Attribute| one.path().is_ident("cfg") || one.path().is_ident("test");
    !attributes.iter().any(tests) && signature.is_none_or(|one| one.constness.is_none())
}

impl<'a> Visit<'a> for Visitor<'_> {
    fn visit_item_mod(&mut self, module: &'a ItemMod) {
        if is_ours(&module.attrs, None) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_const(&mut self, _: &'a ItemConst) {}

    fn visit_type(&mut self, _: &'a Type) {}

    fn visit_item_impl(&mut self, of: &'a ItemImpl) {
        let name = of.trait_.as_ref().and_then(|(_, path, _)| path.segments.last());
        let name = name.map(|last| last.ident.to_string()).unwrap_or_default();
        if !["Debug", "Display", "Hash"].contains(&&*name) {
            visit::visit_item_impl(self, of);
        }
    }

    fn visit_item_fn(&mut self, function: &'a ItemFn) {
        if is_ours(&function.attrs, Some(&function.sig)) {
            self.function(&function.sig, &function.block);
            visit::visit_item_fn(self, function);
            self.functions.pop();
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'a ImplItemFn) {
        if is_ours(&function.attrs, Some(&function.sig)) {
            self.function(&function.sig, &function.block);
            visit::visit_impl_item_fn(self, function);
            self.functions.pop();
        }
    }

    fn visit_stmt(&mut self, statement: &'a Stmt) {
        match statement {
            Stmt::Macro(_) => self.take(statement.span(), ""),
            // What is said of the `if` by its condition, and what leaves, which much may rely on.
            Stmt::Expr(Expr::If(_) | Expr::Return(_) | Expr::Break(_), _) => {}
            Stmt::Expr(Expr::ForLoop(_) | Expr::While(_), _) | Stmt::Expr(_, Some(_)) => {
                self.take(statement.span(), "");
            }
            Stmt::Expr(..) | Stmt::Local(_) | Stmt::Item(_) => {}
        }
        visit::visit_stmt(self, statement);
    }

    fn visit_expr_if(&mut self, expression: &'a ExprIf) {
        self.settle(&expression.cond);
        let block = &expression.then_branch;
        // Without an `else` whoever goes on may go on in any case.
        if let (None, Some(last)) = (&expression.else_branch, block.stmts.last()) {
            if matches!(last, Stmt::Expr(Expr::Return(_), _)) && block.stmts.len() > 1 {
                self.take(last.span(), "");
            }
            if binds(&expression.cond) {
                self.take(expression.span(), "{}");
            }
        }
        visit::visit_expr_if(self, expression);
    }

    fn visit_expr_while(&mut self, expression: &'a ExprWhile) {
        self.settle(&expression.cond);
        visit::visit_expr_while(self, expression);
    }

    fn visit_arm(&mut self, arm: &'a Arm) {
        if let Some((_, guard)) = &arm.guard {
            self.settle(guard);
        }
        visit::visit_arm(self, arm);
    }

    fn visit_expr_binary(&mut self, both: &'a ExprBinary) {
        let without = match both.op {
            BinOp::And(_) => Some("true"),
            BinOp::Or(_) => Some("false"),
            BinOp::Eq(_) | BinOp::Ne(_) => None,
            BinOp::Lt(_) | BinOp::Le(_) | BinOp::Gt(_) | BinOp::Ge(_) => None,
            _ => return visit::visit_expr_binary(self, both),
        };
        match without {
            Some(without) => {
                for part in [&both.left, &both.right] {
                    let more = matches!(
                        &**part,
                        Expr::Binary(part) if discriminant(&part.op) == discriminant(&both.op)
                    );
                    if !binds(part) && !more {
                        self.take(part.span(), without);
                    }
                }
            }
            None => {
                self.take(both.span(), "true");
                self.take(both.span(), "false");
            }
        }
        visit::visit_expr_binary(self, both);
    }

    fn visit_expr_method_call(&mut self, call: &'a ExprMethodCall) {
        let name = call.method.to_string();
        match (&*name, call.args.last()) {
            ("max" | "min", Some(other)) => {
                let both = [self.text_of(&call.receiver), self.text_of(other)];
                both.iter().for_each(|one| self.take(call.span(), one));
            }
            ("then" | "then_some", Some(_)) => self.settle(&call.receiver),
            (choosing, Some(Expr::Closure(choice))) if CHOOSING.contains(&choosing) => {
                self.settle(&choice.body);
            }
            _ => {}
        }
        visit::visit_expr_method_call(self, call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is taken away of the body of a function, and what stands there then.
    fn taken(function: &str) -> Vec<(String, String)> {
        let mutants = mutants(function).unwrap().into_iter();
        let of = |mutant: Mutant| (function[mutant.at].to_owned(), mutant.without);
        mutants.map(of).collect()
    }

    fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter().map(|(line, without)| (line.to_string(), without.to_string())).collect()
    }

    /// Statements go whole; a condition holds always or never, and so does each part of it.
    #[test]
    fn statements_and_conditions_are_taken_away() {
        assert_eq!(
            taken("fn f() { a(); let b = c(); d = b; }"),
            pairs(&[("a();", ""), ("d = b;", "")])
        );
        let both = [("a && b()", "true"), ("a && b()", "false"), ("a", "true"), ("b()", "true")];
        assert_eq!(taken("fn f() { if a && b() { return; } }"), pairs(&both));
        let either = [("a || b", "true"), ("a || b", "false"), ("a", "false"), ("b", "false")];
        assert_eq!(taken("fn f() -> bool { a || b }"), pairs(&either));
    }

    /// What has a name after it cannot be another; the whole of it can be nothing, and its other
    /// parts can be left out.
    #[test]
    fn names_are_left_in_place() {
        let line = "if let Some(a) = b && c { d(a); }";
        let expected = [(line, "{}"), ("c", "true"), ("d(a);", "")];
        assert_eq!(taken(&format!("fn f() {{ {line} }}")), pairs(&expected));
    }

    /// Rows are chosen all or none; of two numbers one is left.
    #[test]
    fn choices_and_limits_are_taken_away() {
        let rows = [("*a > 1", "true"), ("*a > 1", "false")];
        assert_eq!(taken("fn f() -> B { b.filter(|a| *a > 1) }"), pairs(&rows));
        let limits = [("a.max(b)", "a"), ("a.max(b)", "b")];
        assert_eq!(taken("fn f() -> B { a.max(b) }"), pairs(&limits));
    }

    /// Neither tests nor what people read are looked at, and no constant, which has no switch.
    #[test]
    fn what_does_nothing_is_left_out() {
        for left in [
            "#[cfg(test)] mod tests { fn f() { a(); } }",
            "const fn f() -> bool { a > b }",
            "impl Display for A { fn fmt(&self) -> B { if a { b(); } c } }",
        ] {
            assert_eq!(taken(left), [], "{left}");
        }
    }
}
