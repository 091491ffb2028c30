//! The words that may not stand for a name unless they are quoted: SQL-92's, and what PartiQL adds.
//!
//! The parts of dates (`YEAR`, `MONTH`, …) and the functions of DynamoDB are names like any other.

/// In order, lower case.
const KEYWORDS: &str = "absolute action add all allocate alter and any are as asc assertion at authorization avg bag begin \
    between bit bit_length blob bool boolean by cascade cascaded case cast catalog char char_length character \
    character_length check clob close coalesce collate collation column commit connect connection constraint constraints \
    continue convert corresponding count create cross current current_date current_time current_timestamp current_user \
    cursor date deallocate dec decimal declare default deferrable deferred delete desc describe descriptor diagnostics \
    disconnect distinct domain double drop else end escape except exception exec execute exists external extract false \
    fetch first float for foreign found from full get global go goto grant group having identity immediate in index \
    indicator initially inner input insensitive insert int integer intersect interval into is isolation join key language \
    last left level like limit list local lower match max min missing module names national natural nchar next no not null \
    nullif numeric octet_length of on only open option or order outer output overlaps pad partial pivot position precision \
    prepare preserve primary prior privileges procedure public read real references relative remove restrict revoke right \
    rollback rows schema scroll section select session session_user set sexp size smallint some space sql sqlcode sqlerror \
    sqlstate string struct substring sum symbol system_user table temporary then time timestamp timezone_hour \
    timezone_minute to transaction translate translation trim true tuple union unique unknown unpivot update upper usage \
    user using value values varchar varying view when whenever where with work write zone";

/// Whether a bare `word` is a keyword, in any case.
pub(super) fn is_keyword(word: &str) -> bool {
    KEYWORDS.split_ascii_whitespace().any(|keyword| keyword.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_have_no_case() {
        assert!(is_keyword("SELECT") && is_keyword("Inner") && is_keyword("absolute") && is_keyword("zone"));
        for name in ["year", "data", "status", "name", "", "se lect", "list_append"] {
            assert!(!is_keyword(name), "{name}");
        }
    }
}
