//! The routes of docs/service.md, each answered by one call of the engine or of the jobs; and the
//! guard before them.

use std::path::Path;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post, put};
use replix::clone::CloneSpec;
use replix::host::Provider;
use replix::vm::Variable;
use replix::{Error, Kind};
use replix_remote::wire::{FlatLineage, INSTANCE, Operation};
use serde::{Deserialize, Serialize};

use crate::answer::{Answer, Refusal, json};
use crate::jobs::events;
use crate::request::{Asked, JobId, Json, MOST_BODY, OfDisk, OfVm, check};
use crate::service::Service;

/// Where a client asks who the service is.
const HELLO: &str = "/v1/hello";

/// No text that is to be proved to is longer.
const MOST_NONCE: usize = 256;

/// Returns all that `service` answers.
pub(crate) fn routes(service: Service) -> Router {
    let inner = Router::new()
        .route(HELLO, get(hello))
        .route("/v1/vms", get(vms).put(register).delete(unregister))
        .route("/v1/vm", of_vm(|host, vm| host.open(vm)))
        .route("/v1/vm/info", of_vm(|host, vm| host.info(vm)))
        .route("/v1/vm/summary", of_vm(|host, vm| host.summary(vm)))
        .route("/v1/vm/problems", of_vm(|host, vm| host.disk_problems(vm)))
        .route("/v1/vm/state", of_vm(|host, vm| host.state(vm)))
        .route("/v1/vm/console", of_vm(|host, vm| host.console(vm)))
        .route("/v1/vm/snapshots", of_vm(|host, vm| host.snapshots(vm)))
        .route(
            "/v1/vm/lineage",
            of_vm(|host, vm| host.lineage(vm).map(FlatLineage::from)),
        )
        .route("/v1/vm/plan", post(plan))
        .route("/v1/vm/variable", post(read_variable).put(write_variable))
        .route("/v1/disk", of_disk(|host, path| host.disk_info(path)))
        .route("/v1/disk/map", of_disk(|host, path| host.disk_map(path)))
        .route("/v1/jobs", get(jobs))
        .route("/v1/jobs/{id}", put(start).get(job).delete(forget))
        .route("/v1/jobs/{id}/events", get(follow))
        .route("/v1/jobs/{id}/cancel", post(cancel))
        .fallback(unknown)
        .method_not_allowed_fallback(unfit)
        .layer(DefaultBodyLimit::max(MOST_BODY))
        .with_state(service.clone());
    // Around a router without routes the guard comes before any path is looked at.
    Router::new()
        .fallback_service(inner)
        .layer(from_fn_with_state(service, guard))
}

/// Lets through who knows the secret, and who asks for the proof that the service does.
async fn guard(State(service): State<Service>, request: Request, next: Next) -> Response {
    let asks_who = request.uri().path() == HELLO && request.method() == Method::GET;
    let mut response = if secret(&request).is_some_and(|secret| service.is_known(secret)) {
        service.touch();
        next.run(request).await
    } else if asks_who {
        next.run(request).await
    } else {
        refuse_stranger()
    };
    if let Ok(instance) = HeaderValue::from_str(service.instance()) {
        response.headers_mut().insert(INSTANCE, instance);
    }
    response
}

fn secret(request: &Request) -> Option<&[u8]> {
    let header = request.headers().get(header::AUTHORIZATION)?;
    header.as_bytes().strip_prefix(b"Bearer ")
}

/// What else a stranger sends is not read: the connection ends.
fn refuse_stranger() -> Response {
    let text = "the service's secret is missing or wrong";
    let refusal = Refusal::new(StatusCode::UNAUTHORIZED, Kind::Denied, text);
    let headers = [
        (header::WWW_AUTHENTICATE, "Bearer"),
        (header::CONNECTION, "close"),
    ];
    (headers, refusal).into_response()
}

async fn unknown() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        Kind::Argument,
        "there is no such route",
    )
}

async fn unfit() -> Refusal {
    let text = "the route has no such method";
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, Kind::Argument, text)
}

/// A question about a VM that is answered by one call of the engine.
fn of_vm<T: Serialize + Send + 'static>(
    question: fn(&dyn Provider, &Path) -> replix::Result<T>,
) -> MethodRouter<Service> {
    get(
        move |State(service): State<Service>, Asked(OfVm { vm }): Asked<OfVm>| async move {
            service.ask(move |host| question(host, &vm.0)).await
        },
    )
}

/// The same about a disk.
fn of_disk<T: Serialize + Send + 'static>(
    question: fn(&dyn Provider, &Path) -> replix::Result<T>,
) -> MethodRouter<Service> {
    get(
        move |State(service): State<Service>, Asked(OfDisk { path }): Asked<OfDisk>| async move {
            service.ask(move |host| question(host, &path.0)).await
        },
    )
}

#[derive(Deserialize)]
struct Nonce {
    nonce: String,
}

async fn hello(State(service): State<Service>, Asked(Nonce { nonce }): Asked<Nonce>) -> Answer {
    if (1..=MOST_NONCE).contains(&nonce.len()) {
        return json(StatusCode::OK, &service.hello(&nonce));
    }
    let text = format!("the text to prove to has 1 to {MOST_NONCE} bytes");
    Err(Error::new(Kind::Argument, text).into())
}

#[derive(Deserialize)]
#[serde(tag = "which", rename_all = "lowercase")]
enum Which {
    Running,
    Registered,
}

async fn vms(State(service): State<Service>, Asked(which): Asked<Which>) -> Answer {
    match which {
        Which::Running => service.ask(|host| host.running()).await,
        Which::Registered => service.ask(|host| host.registered()).await,
    }
}

async fn register(State(service): State<Service>, Asked(OfVm { vm }): Asked<OfVm>) -> Answer {
    service.ask(move |host| host.register(&vm.0)).await
}

async fn unregister(State(service): State<Service>, Asked(OfVm { vm }): Asked<OfVm>) -> Answer {
    service.ask(move |host| host.unregister(&vm.0)).await
}

async fn plan(
    State(service): State<Service>,
    Asked(OfVm { vm }): Asked<OfVm>,
    Json(spec): Json<CloneSpec>,
) -> Answer {
    check(&spec.destination)?;
    service.ask(move |host| host.plan_clone(&vm.0, &spec)).await
}

async fn read_variable(
    State(service): State<Service>,
    Asked(OfVm { vm }): Asked<OfVm>,
    Json(variable): Json<Variable>,
) -> Answer {
    let read = move |host: &dyn Provider| host.read_variable(&vm.0, &variable);
    service.ask(read).await
}

async fn write_variable(
    State(service): State<Service>,
    Asked(OfVm { vm }): Asked<OfVm>,
    Json((variable, value)): Json<(Variable, String)>,
) -> Answer {
    let write = move |host: &dyn Provider| host.write_variable(&vm.0, &variable, &value);
    service.ask(write).await
}

async fn start(
    State(service): State<Service>,
    id: JobId,
    Json(operation): Json<Operation>,
) -> Answer {
    let (status, report) = service.jobs().start(id, operation)?;
    json(status, &report)
}

async fn jobs(State(service): State<Service>) -> Answer {
    json(StatusCode::OK, &service.jobs().reports())
}

async fn job(State(service): State<Service>, id: JobId) -> Answer {
    json(StatusCode::OK, &service.jobs().find(id)?.report())
}

async fn follow(State(service): State<Service>, id: JobId) -> Answer {
    Ok(events(service.jobs().find(id)?).into_response())
}

async fn cancel(State(service): State<Service>, id: JobId) -> Answer {
    let entry = service.jobs().find(id)?;
    entry.job().cancel();
    json(StatusCode::OK, &entry.report())
}

async fn forget(State(service): State<Service>, id: JobId) -> Answer {
    service.jobs().forget(id)?;
    json(StatusCode::OK, &())
}
