//! What may be typed about the demo.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Demo {
    /// One full round, a summary, and an exit code.
    #[arg(long)]
    pub once: bool,
    /// Where the demo keeps its project and its data.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    #[command(subcommand)]
    pub action: Option<DemoAction>,
}

#[derive(Debug, Subcommand)]
pub enum DemoAction {
    /// Change one customer in the demo's finance system.
    Change {
        #[arg(long, default_value = DEMO_DIR, value_name = "DIR")]
        dir: PathBuf,
    },
    /// Submit an order in the demo's Dynamics.
    Order {
        /// With a product that the ERP sells no more.
        #[arg(long)]
        discontinued: bool,
        #[arg(long, default_value = DEMO_DIR, value_name = "DIR")]
        dir: PathBuf,
    },
    /// Show the stock of a product as Dynamics does, after changing it in the demo's warehouse if a quantity is given.
    Stock {
        #[arg(default_value = "P-100")]
        sku: String,
        #[arg(value_name = "QTY")]
        quantity: Option<i64>,
        /// Which warehouse is changed: LON, CGN, SAO or YVR.
        #[arg(long, default_value = "LON")]
        warehouse: String,
        #[arg(long, default_value = DEMO_DIR, value_name = "DIR")]
        dir: PathBuf,
    },
    /// Ask for a higher credit limit in the demo's Dynamics; above 5,000 a person decides.
    Credit {
        /// In whole pounds.
        #[arg(default_value_t = 25_000)]
        amount: u32,
        #[arg(long, default_value = "C-1001", value_name = "NUMBER")]
        customer: String,
        /// Who asks, and may not decide.
        #[arg(long, default_value = "sales@contoso.example", value_name = "EMAIL")]
        by: String,
        #[arg(long, default_value = DEMO_DIR, value_name = "DIR")]
        dir: PathBuf,
    },
    /// Take the demo's ERP down, or bring it back.
    Erp {
        state: UpOrDown,
        #[arg(long, default_value = DEMO_DIR, value_name = "DIR")]
        dir: PathBuf,
    },
    /// Take the demo's Dynamics down, or bring it back.
    Dynamics {
        state: UpOrDown,
        #[arg(long, default_value = DEMO_DIR, value_name = "DIR")]
        dir: PathBuf,
    },
}

/// The demo's folder, where nobody says another.
pub const DEMO_DIR: &str = "ironbridge-demo";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UpOrDown {
    Up,
    Down,
}
