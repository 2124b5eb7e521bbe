//! Tokens to a tree, with the precedence of Power Fx: from loose to tight `;`, `||`, `&&`, `in`, comparison,
//! `&`, `+ -`, `* /`, `As`, prefix, `^`, `%`, `.`.

use crate::ast::{BinaryOp, Expr, ExprKind, Name, PrefixOp};
use crate::error::{Diagnostic, DiagnosticKind, Span};
use crate::lexer::{Lexer, Stretch, Token};

/// Deeper trees are refused, so that every walk over them is bounded; a chain of operators is as deep as it is long.
const DEPTH_MAX: usize = 100;
/// Brackets, calls and signs within each other; less, because each takes the stack of a whole expression.
const NESTING_MAX: usize = 50;
/// Longer formulas are refused.
const TEXT_BYTES_MAX: usize = 64 * 1024;

type Parsed = Result<Expr, Diagnostic>;

pub(crate) fn parse(text: &str) -> Parsed {
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("a formula has at most {TEXT_BYTES_MAX} bytes, this one has {}", text.len());
        return Err(Diagnostic::new(DiagnosticKind::Limit, Span::new(0, text.len()), message));
    }
    let mut lexer = Lexer::new(text);
    let (token, span) = lexer.next()?;
    let mut parser = Parser { lexer, token, span, before: 0, depth: 0 };
    if parser.token == Token::End {
        return Ok(Expr { kind: ExprKind::Empty, span: Span::default(), depth: 1 });
    }
    let expr = parser.chain()?;
    if parser.token != Token::End {
        return Err(parser.unexpected("an operator or the end of the formula"));
    }
    Ok(expr)
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    token: Token,
    span: Span,
    /// Where the token before this one ended.
    before: usize,
    depth: usize,
}

impl Parser<'_> {
    fn advance(&mut self) -> Result<(), Diagnostic> {
        self.before = self.span.end;
        (self.token, self.span) = self.lexer.next()?;
        Ok(())
    }

    fn is(&self, symbol: &str) -> bool {
        matches!(&self.token, Token::Symbol(s) if *s == symbol)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(&self.token, Token::Name(n, false) if n == word)
    }

    fn take(&mut self, symbol: &str) -> Result<bool, Diagnostic> {
        let found = self.is(symbol);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, symbol: &str) -> Result<(), Diagnostic> {
        if self.take(symbol)? { Ok(()) } else { Err(self.unexpected(&format!("`{symbol}`"))) }
    }

    fn unexpected(&self, wanted: &str) -> Diagnostic {
        let found = match &self.token {
            Token::Number(n) => format!("the number {n}"),
            Token::Text(_) | Token::InterpolationStart => "a text".to_owned(),
            Token::Name(n, _) => format!("`{n}`"),
            Token::Symbol(s) => format!("`{s}`"),
            Token::End => "the end of the formula".to_owned(),
        };
        Diagnostic::new(DiagnosticKind::Syntax, self.span, format!("expected {wanted}, found {found}"))
    }

    fn make(&self, kind: ExprKind, span: Span, below: usize) -> Parsed {
        let depth = below + 1;
        if depth > DEPTH_MAX {
            return Err(self.too_deep(span));
        }
        Ok(Expr { kind, span, depth })
    }

    fn too_deep(&self, span: Span) -> Diagnostic {
        let message =
            format!("this formula is nested more than {NESTING_MAX} deep, or has too long a chain of operators");
        Diagnostic::new(DiagnosticKind::Limit, span, message).help(Some("split it with With()".to_owned()))
    }

    fn nary(&self, kind: fn(Vec<Expr>) -> ExprKind, mut items: Vec<Expr>) -> Parsed {
        if items.len() == 1 {
            return items.pop().ok_or_else(|| self.unexpected("an expression"));
        }
        let span = items.iter().fold(items[0].span, |s, e| s.to(e.span));
        let below = deepest(&items);
        self.make(kind(items), span, below)
    }

    fn chain(&mut self) -> Parsed {
        let mut items = vec![self.expression()?];
        while self.is(";") {
            self.advance()?;
            if matches!(self.token, Token::End) || self.is(")") || self.is(",") {
                break;
            }
            items.push(self.expression()?);
        }
        self.nary(ExprKind::Chain, items)
    }

    fn expression(&mut self) -> Parsed {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return Err(self.too_deep(self.span));
        }
        let expr = self.or();
        self.depth -= 1;
        expr
    }

    fn or(&mut self) -> Parsed {
        let mut items = vec![self.and()?];
        while self.is("||") || self.is_word("Or") {
            self.advance()?;
            items.push(self.and()?);
        }
        self.nary(ExprKind::Or, items)
    }

    fn and(&mut self) -> Parsed {
        let mut items = vec![self.membership()?];
        while self.is("&&") || self.is_word("And") {
            self.advance()?;
            items.push(self.membership()?);
        }
        self.nary(ExprKind::And, items)
    }

    fn binary(&mut self, op: BinaryOp, left: Expr, next: fn(&mut Self) -> Parsed) -> Parsed {
        let op_span = self.span;
        self.advance()?;
        let right = next(self)?;
        let (span, below) = (left.span.to(right.span), left.depth.max(right.depth));
        self.make(ExprKind::Binary(op, op_span, Box::new(left), Box::new(right)), span, below)
    }

    fn membership(&mut self) -> Parsed {
        let mut left = self.comparison()?;
        loop {
            let op = match &self.token {
                Token::Name(n, false) if n == "in" => BinaryOp::In,
                Token::Name(n, false) if n == "exactin" => BinaryOp::ExactIn,
                _ => return Ok(left),
            };
            left = self.binary(op, left, Self::comparison)?;
        }
    }

    fn comparison(&mut self) -> Parsed {
        let mut left = self.concat()?;
        loop {
            let op = match self.token {
                Token::Symbol("=") => BinaryOp::Equal,
                Token::Symbol("<>") => BinaryOp::NotEqual,
                Token::Symbol("<") => BinaryOp::Less,
                Token::Symbol("<=") => BinaryOp::LessEqual,
                Token::Symbol(">") => BinaryOp::Greater,
                Token::Symbol(">=") => BinaryOp::GreaterEqual,
                _ => return Ok(left),
            };
            left = self.binary(op, left, Self::concat)?;
        }
    }

    fn concat(&mut self) -> Parsed {
        let mut items = vec![self.sum()?];
        while self.is("&") {
            self.advance()?;
            items.push(self.sum()?);
        }
        self.nary(ExprKind::Concat, items)
    }

    fn sum(&mut self) -> Parsed {
        let mut left = self.product()?;
        loop {
            let op = match self.token {
                Token::Symbol("+") => BinaryOp::Add,
                Token::Symbol("-") => BinaryOp::Subtract,
                _ => return Ok(left),
            };
            left = self.binary(op, left, Self::product)?;
        }
    }

    fn product(&mut self) -> Parsed {
        let mut left = self.named()?;
        loop {
            let op = match self.token {
                Token::Symbol("*") => BinaryOp::Multiply,
                Token::Symbol("/") => BinaryOp::Divide,
                _ => return Ok(left),
            };
            left = self.binary(op, left, Self::named)?;
        }
    }

    fn named(&mut self) -> Parsed {
        let expr = self.prefix()?;
        if !self.is_word("As") {
            return Ok(expr);
        }
        self.advance()?;
        let name = self.name()?;
        let (span, below) = (expr.span.to(name.span), expr.depth);
        self.make(ExprKind::As(Box::new(expr), name), span, below)
    }

    fn prefix(&mut self) -> Parsed {
        let op = match &self.token {
            Token::Symbol("-") => PrefixOp::Minus,
            Token::Symbol("+") => PrefixOp::Plus,
            Token::Symbol("!") => PrefixOp::Not,
            Token::Name(n, false) if n == "Not" && !self.followed_by_paren() => PrefixOp::Not,
            _ => return self.power(),
        };
        let start = self.span;
        self.advance()?;
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return Err(self.too_deep(start));
        }
        let expr = self.prefix();
        self.depth -= 1;
        let expr = expr?;
        let (span, below) = (start.to(expr.span), expr.depth);
        self.make(ExprKind::Prefix(op, Box::new(expr)), span, below)
    }

    /// Whether the token after this one is `(`.
    fn followed_by_paren(&self) -> bool {
        matches!(self.lexer.clone().next(), Ok((Token::Symbol("("), _)))
    }

    fn power(&mut self) -> Parsed {
        let base = self.postfix()?;
        if !self.is("^") {
            return Ok(base);
        }
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return Err(self.too_deep(self.span));
        }
        let power = self.binary(BinaryOp::Power, base, Self::exponent);
        self.depth -= 1;
        power
    }

    /// What stands right of `^`: it takes a sign of its own, and further powers.
    fn exponent(&mut self) -> Parsed {
        self.prefix()
    }

    fn postfix(&mut self) -> Parsed {
        let mut expr = self.primary()?;
        loop {
            if self.is("%") {
                let (span, below) = (expr.span.to(self.span), expr.depth);
                self.advance()?;
                expr = self.make(ExprKind::Percent(Box::new(expr)), span, below)?;
            } else if self.is(".") {
                self.advance()?;
                let name = self.name()?;
                let (span, below) = (expr.span.to(name.span), expr.depth);
                expr = self.make(ExprKind::Dot(Box::new(expr), name), span, below)?;
            } else {
                return Ok(expr);
            }
        }
    }

    fn name(&mut self) -> Result<Name, Diagnostic> {
        match &self.token {
            Token::Name(text, _) => {
                let name = Name { text: text.clone(), span: self.span };
                self.advance()?;
                Ok(name)
            }
            _ => Err(self.unexpected("a name")),
        }
    }

    fn primary(&mut self) -> Parsed {
        let span = self.span;
        match std::mem::replace(&mut self.token, Token::End) {
            Token::Number(n) => self.leaf(ExprKind::Number(n), span),
            Token::Text(t) => self.leaf(ExprKind::Text(t), span),
            Token::InterpolationStart => self.interpolation(span),
            Token::Name(n, quoted) => self.word(n, quoted, span),
            Token::Symbol("(") => {
                self.advance()?;
                let mut inner = self.chain()?;
                inner.span = span.to(self.span);
                self.expect(")")?;
                Ok(inner)
            }
            Token::Symbol("{") => self.record(span),
            Token::Symbol("[") => {
                self.advance()?;
                let items = self.items("]")?;
                let below = deepest(&items);
                self.make(ExprKind::List(items), Span::new(span.start, self.before), below)
            }
            other => {
                let is_second = other == Token::Symbol("=");
                self.token = other;
                let help = is_second.then(|| "`=` compares, and stands once: `a = b`".to_owned());
                Err(self.unexpected("a value, a name or a function").help(help))
            }
        }
    }

    fn leaf(&mut self, kind: ExprKind, span: Span) -> Parsed {
        self.advance()?;
        self.make(kind, span, 0)
    }

    fn word(&mut self, text: String, quoted: bool, span: Span) -> Parsed {
        match text.as_str() {
            "true" if !quoted => return self.leaf(ExprKind::Boolean(true), span),
            "false" if !quoted => return self.leaf(ExprKind::Boolean(false), span),
            "in" | "exactin" | "As" if !quoted => {
                self.token = Token::Name(text, false);
                return Err(self.unexpected("a value, a name or a function"));
            }
            _ => {}
        }
        self.advance()?;
        if !self.is("(") {
            if !quoted && matches!(text.as_str(), "And" | "Or" | "Not") {
                let message = format!("`{text}` is an operator, and here it has no value on its left");
                return Err(Diagnostic::new(DiagnosticKind::Syntax, span, message));
            }
            return self.make(ExprKind::Name(text), span, 0);
        }
        self.advance()?;
        let mut args = Vec::new();
        if !self.is(")") {
            loop {
                args.push(self.chain()?);
                if !self.take(",")? {
                    break;
                }
            }
        }
        self.expect(")")?;
        let below = deepest(&args);
        self.make(ExprKind::Call(Name { text, span }, args), Span::new(span.start, self.before), below)
    }

    fn items(&mut self, close: &str) -> Result<Vec<Expr>, Diagnostic> {
        let mut items = Vec::new();
        if !self.is(close) {
            loop {
                items.push(self.expression()?);
                if !self.take(",")? {
                    break;
                }
            }
        }
        self.expect(close)?;
        Ok(items)
    }

    fn record(&mut self, start: Span) -> Parsed {
        self.advance()?;
        let mut fields: Vec<(Name, Expr)> = Vec::new();
        if !self.is("}") {
            loop {
                let name = self.name()?;
                self.expect(":")?;
                let value = self.expression()?;
                fields.push((name, value));
                if !self.take(",")? {
                    break;
                }
            }
        }
        self.expect("}")?;
        let below = fields.iter().map(|(_, e)| e.depth).max().unwrap_or(0);
        self.make(ExprKind::Record(fields), Span::new(start.start, self.before), below)
    }

    fn interpolation(&mut self, start: Span) -> Parsed {
        let mut parts = Vec::new();
        loop {
            let from = self.lexer.at;
            let (text, stretch) = self.lexer.interpolated_text()?;
            if !text.is_empty() {
                let span = Span::new(from, self.lexer.at - 1);
                parts.push(Expr { kind: ExprKind::Text(text), span, depth: 1 });
            }
            match stretch {
                Stretch::End => break,
                Stretch::Hole => {
                    self.advance()?;
                    if self.is("}") {
                        continue;
                    }
                    parts.push(self.chain()?);
                    if !self.is("}") {
                        return Err(self.unexpected("`}`"));
                    }
                }
            }
        }
        let span = Span::new(start.start, self.lexer.at);
        self.span = span;
        self.advance()?;
        let below = deepest(&parts);
        self.make(ExprKind::Interpolated(parts), span, below)
    }
}

fn deepest(items: &[Expr]) -> usize {
    items.iter().map(|e| e.depth).max().unwrap_or(0)
}
