//! The load generator and the side-by-side report
