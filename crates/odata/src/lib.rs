//! OData v4 as text: what stands behind the `?` of a URL and between its slashes, as a syntax tree and back.
//!
//! The tree is complete and knows nothing of any service: whether a column exists or an operator is supported is
//! decided by whoever walks it. Nothing here does IO, and no input makes it panic or recurse without bound
//! ([`DEPTH_MAX`], [`NODES_MAX`]).
//!
//! It is not a client and not a server. For a read-only server it has what is text: the [`service`] as data, its
//! [`edmx`], its [`payload`]s, and the lowering of expressions to [`record::Query`] ([`Lowering`]).
//!
//! ```
//! use odata::{Options, Path};
//!
//! let options = Options::parse("$select=name,creditlimit&$filter=creditlimit%20gt%205000.00 and statecode eq 0&$top=10").unwrap();
//! assert_eq!(options.top, Some(10));
//! assert_eq!(options.select, Some(vec![Path::of("name"), Path::of("creditlimit")]));
//! assert_eq!(options.filter.unwrap().to_string(), "creditlimit gt 5000.00 and statecode eq 0");
//!
//! let path = odata::resource_path("accounts(accountnumber='A-1')/primarycontactid/$ref").unwrap();
//! assert_eq!(path[0].name, "accounts");
//! assert_eq!(path[2].name, "$ref");
//! ```

pub mod batch;
mod edmx;
mod error;
mod lower;
mod parse;
pub mod payload;
mod percent;
mod print;
pub mod service;
mod syntax;

pub use edmx::edmx;
pub use error::{Error, Problem};
pub use lower::{LIST_MAX, Lowering, Refusal, guid};
pub use parse::apply::transformations;
pub use parse::cursor::{DEPTH_MAX, NODES_MAX};
pub use parse::expression::expression;
pub use parse::options::{expand_items, order_items, select_items};
pub use parse::resource::{Segment, resource_path};
pub use percent::{decode, encode, query_pairs};
pub use syntax::{
    Aggregate, Argument, Binary, Direction, Expand, Expr, Literal, Method, Options, OrderItem, Path, Quantifier,
    Transformation,
};
