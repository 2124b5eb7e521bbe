//! The whole product, run as a user would.
