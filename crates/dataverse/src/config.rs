//! How to reach an environment.

use std::time::Duration;

use record::Secret;

/// One environment and who we are there.
#[derive(Debug, Clone)]
pub struct Config {
    /// `https://contoso.crm11.dynamics.com`, without a path.
    pub url: String,
    /// The sign-in service: `https://login.microsoftonline.com`, or another one in a national cloud or a test.
    pub authority: String,
    pub tenant: String,
    pub client_id: String,
    pub client_secret: Option<Secret>,
    /// A fixed bearer token instead of signing in.
    pub token: Option<Secret>,
    /// Of one request, from its start to the end of its answer. The service itself gives up after some two minutes.
    pub timeout: Duration,
    /// Requests at a time at most; the service may ask for fewer. Without it as many as the service asks for
    /// (`x-ms-dop-hint`): four until it says, sixteen at most.
    pub concurrency: Option<usize>,
    /// Rows in one `$batch`. The service allows 1000 operations.
    pub rows_per_batch: usize,
    /// New rows in one `CreateMultiple`; 0 sends them in batches. The service has no fixed limit, but gives up on what
    /// takes too long, and advises 100 to 1000.
    pub rows_per_create: usize,
}

impl Config {
    pub fn new(url: impl Into<String>) -> Config {
        Config {
            url: url.into().trim_end_matches('/').to_owned(),
            authority: "https://login.microsoftonline.com".to_owned(),
            tenant: String::new(),
            client_id: String::new(),
            client_secret: None,
            token: None,
            timeout: Duration::from_secs(150),
            concurrency: None,
            rows_per_batch: 100,
            rows_per_create: 250,
        }
    }

    /// Requests at a time before the service said anything.
    pub(crate) fn at_first(&self) -> usize {
        self.concurrency.map_or(4, |most| most.max(1))
    }

    /// Requests at a time, whatever the service says. Each web server allows 52, and others use the same user.
    pub(crate) fn at_most(&self) -> usize {
        self.concurrency.map_or(16, |most| most.max(1))
    }

    /// The root of the Web API, with a slash at its end.
    pub(crate) fn root(&self) -> String {
        format!("{}{API}", self.url)
    }
}

/// The path of the Web API in each environment.
pub(crate) const API: &str = "/api/data/v9.2/";
