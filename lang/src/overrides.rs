//! `-G name=value`: other values for globals at the start.

use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::parse::parse_integer;
use crate::suggest;
use crate::typed::{GlobalKind, Literal, Program};
use crate::types::Type;

/// Gives a scalar global another value at the start: a number for a long, any
/// text for a string.
///
/// # Errors
/// There is no such global, it is an array, or the value is no number where
/// the global is a long.
///
/// ```
/// use hwtrace_lang::typed::{Global, GlobalKind, Literal, Program};
/// use hwtrace_lang::{overrides::set_global, span::Span, types::Type};
/// let kind = GlobalKind::Scalar { ty: Type::Long, initial: Literal::Long(0) };
/// let limit = Global { name: "limit".into(), span: Span::default(), kind };
/// let mut program = Program { globals: vec![limit], ..Program::default() };
/// set_global(&mut program, "limit", "0x10").unwrap();
/// assert!(set_global(&mut program, "limit", "many").is_err());
/// assert!(set_global(&mut program, "limits", "1").is_err());
/// ```
#[expect(clippy::result_large_err, reason = "called once for an option")]
pub fn set_global(
    program: &mut Program,
    name: &str,
    value: &str,
) -> Result<(), Diagnostic> {
    let Some(at) = program.globals.iter().position(|global| global.name == name) else {
        return Err(unknown(program, name));
    };
    let global = &mut program.globals[at];
    let wrong = |why: String| {
        Diagnostic::new(
            Code::BadOverride,
            global.span,
            format!("-G {name}={value}: {why}"),
        )
        .label("declared here")
    };
    match &mut global.kind {
        GlobalKind::Array { .. } => Err(wrong(format!("`{name}` is an array"))
            .help("only globals of one value can be set; pass a script argument: `$1`")),
        GlobalKind::Scalar { ty: Type::String, initial } => {
            *initial = Literal::String(value.to_owned());
            Ok(())
        }
        GlobalKind::Stats => Err(wrong(format!("`{name}` holds statistics"))
            .help("only globals of one value can be set; pass a script argument: `$1`")),
        GlobalKind::Scalar { ty: Type::Stack, .. } => {
            Err(wrong(format!("`{name}` holds a stack"))
                .help("stacks come from hits; pass a script argument: `$1`"))
        }
        GlobalKind::Scalar { ty: Type::Double, initial } => {
            match value.trim().parse::<f64>() {
                Ok(number) => {
                    *initial = Literal::Double(number);
                    Ok(())
                }
                Err(_) => Err(wrong(format!(
                    "`{name}` is a double, and `{value}` is no number"
                ))
                .help(format!("write a number: `-G {name}=1.5`"))),
            }
        }
        GlobalKind::Scalar { ty: Type::Long | Type::Stats, initial } => {
            match parse_integer(value) {
                Some(number) => {
                    *initial = Literal::Long(number);
                    Ok(())
                }
                None => {
                    Err(wrong(format!("`{name}` is a long, and `{value}` is no number"))
                        .help(format!("write a number: `-G {name}=42`")))
                }
            }
        }
    }
}

fn unknown(program: &Program, name: &str) -> Diagnostic {
    let names = || program.globals.iter().map(|global| global.name.as_str());
    let error = Diagnostic::new(
        Code::UnknownOverride,
        None,
        format!("-G: there is no global `{name}`"),
    );
    match suggest::did_you_mean(name, names()).or_else(|| {
        suggest::list(names().take(5)).map(|list| format!("the script has {list}"))
    }) {
        Some(help) => error.help(help),
        None => error.help(format!("declare it in the script: `global {name} = 0`")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sema::tests::check;

    #[test]
    fn values_fit_or_are_refused() {
        let mut program = check(
            "global n, s = \"\", a probe begin { n = s == \"\"; a[1] = n print(a[1]) }",
        )
        .unwrap();
        set_global(&mut program, "n", "-5").unwrap();
        set_global(&mut program, "s", "any text").unwrap();
        let initial = |at: usize| match &program.globals[at].kind {
            GlobalKind::Scalar { initial, .. } => initial.clone(),
            _ => unreachable!("the first two are scalars"),
        };
        assert_eq!(initial(0), Literal::Long(-5));
        assert_eq!(initial(1), Literal::String("any text".into()));
        assert_eq!(
            set_global(&mut program, "a", "1").unwrap_err().code,
            Code::BadOverride
        );
        assert_eq!(
            set_global(&mut program, "n", "x").unwrap_err().code,
            Code::BadOverride
        );
        let error = set_global(&mut program, "nn", "1").unwrap_err();
        assert_eq!(error.help, ["the script has `n`, `s` or `a`"]);
    }
}
