//! `ironbridge up`: runs what is due, until stopped.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use definition::Project;
use hub::patience::keep;
use hub::pulse::Pulse;
use store::Store;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::cli::Cli;
use crate::commands::emulate::{cannot_listen, stopped};
use crate::failure::Failure;
use crate::ingress::metrics::Observed;
use crate::ingress::odata::Listens;
use crate::ingress::tls;
use crate::wiring::{self, OpenSystems};
use crate::{alerting, in_use, ingress, talk};

pub async fn up(cli: &Cli, listen: SocketAddr, tls: Option<(&Path, &Path)>) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let acceptor = tls.map(|(certificate, key)| tls::acceptor(certificate, key)).transpose()?;
    let (stop, stopping) = watch::channel(false);
    let mut hub = Hub::start(project.clone(), listen, stopping).await?;
    hub.tls = acceptor;
    hub.certificate = tls.map(|(certificate, _)| certificate.to_owned());
    talk!("{} is up: {}/; stop it with Ctrl-C", project.hub.name, hub.url());
    tokio::spawn(async move {
        stopped().await;
        let _ = stop.send(true);
    });
    hub.run().await?;
    Ok(0)
}

/// A hub that has its folder and its address, and is about to work.
pub struct Hub {
    pub address: SocketAddr,
    pub store: Store,
    /// Speaks https where it is there.
    pub tls: Option<TlsAcceptor>,
    /// The file of its certificate.
    pub certificate: Option<PathBuf>,
    project: Arc<Project>,
    listener: TcpListener,
    stopping: watch::Receiver<bool>,
    _lock: store::UpLock,
}

impl Hub {
    /// Takes the folder and the address.
    ///
    /// *Errors*: another `up` has the folder; the state cannot be used; the address is taken.
    pub async fn start(
        project: Arc<Project>,
        listen: SocketAddr,
        stopping: watch::Receiver<bool>,
    ) -> Result<Hub, Failure> {
        let store = wiring::open_store_of_up(&project)?;
        let lock = store.lock_up()?;
        let listener = TcpListener::bind(listen).await.map_err(|why| cannot_listen(listen, &why))?;
        let address = listener.local_addr()?;
        in_use::keep(&project);
        Ok(Hub { address, store, tls: None, certificate: None, project, listener, stopping, _lock: lock })
    }

    /// Where a browser finds it.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.tls.is_some() { "https" } else { "http" }, self.address)
    }

    /// Works until told to stop: takes nothing new, cuts what runs (it is safe to run again), closes.
    pub async fn run(self) -> Result<(), Failure> {
        let systems = Arc::new(OpenSystems::new(self.project.clone()));
        let pulse = Pulse::new();
        let mut routes = ingress::routes(&self.project, &self.store, &systems).await?;
        let listens = Listens { local: self.address.ip().is_loopback(), tls: self.tls.is_some() };
        if let Some(tables) = ingress::odata::routes(&self.project, wiring::opener(systems.clone()), listens)? {
            routes = routes.merge(tables);
        }
        let console = ingress::console(&self.project, &self.store, systems.clone(), self.address, self.tls.is_some());
        routes = routes.merge(console.await?);
        let observed = Arc::new(Observed::new(self.project.clone(), self.store.clone(), pulse.clone())?);
        let routes = routes
            .merge(ingress::health::routes(&self.store, &pulse, self.stopping.clone()))
            .merge(ingress::metrics::routes(observed.clone()));
        let routes = ingress::metrics::watched(routes, observed.requests.clone());
        let mut stopping = self.stopping.clone();
        let stopped = async move {
            let _ = stopping.wait_for(|stop| *stop).await;
        };
        let (listener, tls) = (self.listener, self.tls);
        let serving = tokio::spawn(async move {
            match tls {
                None => axum::serve(ingress::prompt(listener), routes).with_graceful_shutdown(stopped).await,
                Some(tls) => {
                    axum::serve(ingress::Reasons(tls::Listener::new(listener, tls)?), routes)
                        .with_graceful_shutdown(stopped)
                        .await
                }
            }
        });
        let (project, store, stopping) = (self.project, self.store, self.stopping);
        // A clock of its own: what a run or the scheduler does cannot hold it up.
        let watching = {
            let (project, store, stopping) = (project.clone(), store.clone(), stopping.clone());
            let watch = move || hub::deadline::watch(&project, &store, || *stopping.borrow());
            std::thread::Builder::new().name("deadlines".to_owned()).spawn(watch)?
        };
        let (alerts, telling) = alerting::start(&project, &store, &stopping, self.certificate)?;
        let mut ending = stopping.clone();
        // Each part goes on by itself after the state could not be written for a while.
        let stop = || stopping.clone();
        let events = keep(stop(), || hub::events::work(project.clone(), systems.clone(), store.clone(), stop()));
        let flows = hub::flows::Flows::new(project.clone(), systems.clone(), store.clone(), wiring::kinds());
        let flows = Arc::new(flows);
        let flows = keep(stop(), || hub::flows::work(flows.clone(), stop()));
        let upkeep = keep(stop(), || hub::upkeep::work(project.clone(), store.clone(), pulse.clone(), stop()));
        let retries = keep(stop(), || hub::retries::work(project.clone(), store.clone(), pulse.clone(), stop()));
        let looks =
            keep(stop(), || hub::looks::work(project.clone(), systems.clone(), store.clone(), pulse.clone(), stop()));
        let shown = keep(stop(), || crate::shown::work(project.clone(), systems.clone(), store.clone(), stop()));
        let batches = keep(stop(), || {
            let (project, systems, store) = (project.clone(), systems.clone(), store.clone());
            hub::worker::work(project, systems, store, wiring::holder(), pulse.clone(), stop())
        });
        let worked = tokio::try_join!(batches, events, flows, retries, upkeep, looks, shown, telling);
        serving.abort();
        if worked.is_ok() && ending.wait_for(|stop| *stop).await.is_ok() {
            // They look up twice a second.
            tokio::task::spawn_blocking(move || (watching.join(), alerts.join())).await.ok();
        }
        worked?;
        Ok(())
    }
}
