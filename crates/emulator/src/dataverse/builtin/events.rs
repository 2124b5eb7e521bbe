//! The tables through which webhooks are registered, and the jobs that they leave.

use crate::dataverse::columns::{boolean, choice, datetime, integer, lookup, memo, states, table, text};
use crate::dataverse::model::{Ownership, Required, Table};

use super::names;

pub fn tables() -> Vec<Table> {
    let serviceendpoint = table(
        names(
            "serviceendpoint",
            "ServiceEndpoint",
            "serviceendpoints",
            "Service Endpoint",
            "name",
            "serviceendpointid",
        ),
        4618,
        Ownership::OrganizationOwned,
        vec![
            text("name", "Name", 100).required(Required::System),
            memo("description", "Description", 2000),
            choice(
                "contract",
                "Contract",
                &[
                    (1, "OneWay"),
                    (2, "Queue"),
                    (3, "Rest"),
                    (4, "TwoWay"),
                    (5, "Topic"),
                    (6, "Queue (Persistent)"),
                    (7, "Event Hub"),
                    (8, "Webhook"),
                    (9, "Event Grid"),
                    (10, "Managed Data Lake"),
                ],
            ),
            choice(
                "authtype",
                "Authentication Type",
                &[
                    (1, "ACS"),
                    (2, "SAS Key"),
                    (3, "SAS Token"),
                    (4, "Webhook Key"),
                    (5, "Http Header"),
                    (6, "Http Query String"),
                    (7, "Connection String"),
                    (8, "Access Key"),
                ],
            ),
            choice("messageformat", "Message Format", &[(1, "Binary XML"), (2, "Json"), (3, "Text XML")]),
            choice("userclaim", "User Claim", &[(1, "None"), (2, "UserId"), (3, "UserInfo")]),
            choice("connectionmode", "Connection Mode", &[(1, "Normal"), (2, "Federated")]),
            choice("namespaceformat", "Namespace Format", &[(1, "Namespace Name"), (2, "Namespace Address")]),
            text("url", "URL", 2000),
            memo("authvalue", "Auth Value", 2048),
            text("path", "Path", 160),
        ],
    );
    let sdkmessage = table(
        names("sdkmessage", "SdkMessage", "sdkmessages", "Sdk Message", "name", "sdkmessageid"),
        4606,
        Ownership::OrganizationOwned,
        vec![text("name", "Name", 256)],
    );
    let sdkmessagefilter = table(
        names(
            "sdkmessagefilter",
            "SdkMessageFilter",
            "sdkmessagefilters",
            "Sdk Message Filter",
            "name",
            "sdkmessagefilterid",
        ),
        4607,
        Ownership::OrganizationOwned,
        vec![
            text("name", "Name", 256),
            text("primaryobjecttypecode", "Primary Object Type Code", 128),
            lookup("sdkmessageid", "SDK Message ID", &["sdkmessage"]),
        ],
    );
    let step = table(
        names(
            "sdkmessageprocessingstep",
            "SdkMessageProcessingStep",
            "sdkmessageprocessingsteps",
            "Sdk Message Processing Step",
            "name",
            "sdkmessageprocessingstepid",
        ),
        4608,
        Ownership::OrganizationOwned,
        [
            text("name", "Name", 256).required(Required::System),
            memo("description", "Description", 2000),
            choice("mode", "Execution Mode", &[(0, "Synchronous"), (1, "Asynchronous")]),
            choice(
                "stage",
                "Execution Stage",
                &[
                    (10, "Pre-validation"),
                    (20, "Pre-operation"),
                    (30, "Main Operation"),
                    (40, "Post-operation"),
                    (50, "Post-operation (Deprecated)"),
                ],
            ),
            integer("rank", "Execution Order", i32::MIN, i32::MAX),
            choice("supporteddeployment", "Deployment", &[(0, "Server Only"), (1, "Client Only"), (2, "Both")]),
            boolean("asyncautodelete", "Asynchronous Automatic Delete"),
            memo("filteringattributes", "Filtering Attributes", 100_000),
            text("configuration", "Configuration", 1_073_741_823),
            lookup("sdkmessageid", "SDK Message", &["sdkmessage"]).required(Required::System),
            lookup("sdkmessagefilterid", "SdkMessage Filter", &["sdkmessagefilter"]),
            lookup("eventhandler", "Event Handler", &["serviceendpoint", "plugintype"]),
        ]
        .into_iter()
        .chain(states(&[(0, "Enabled"), (1, "Disabled")], &[(1, "Enabled", 0), (2, "Disabled", 1)]))
        .collect(),
    );
    let plugintype = table(
        names("plugintype", "PluginType", "plugintypes", "Plug-in Type", "name", "plugintypeid"),
        4602,
        Ownership::OrganizationOwned,
        vec![text("name", "Name", 256), text("typename", "Type Name", 256)],
    );
    let image = table(
        names(
            "sdkmessageprocessingstepimage",
            "SdkMessageProcessingStepImage",
            "sdkmessageprocessingstepimages",
            "Sdk Message Processing Step Image",
            "name",
            "sdkmessageprocessingstepimageid",
        ),
        4615,
        Ownership::OrganizationOwned,
        vec![
            text("name", "Name", 256),
            text("entityalias", "Entity Alias", 256).required(Required::System),
            text("messagepropertyname", "Message Property Name", 256).required(Required::System),
            memo("attributes", "Attributes", 100_000),
            choice("imagetype", "Image Type", &[(0, "PreImage"), (1, "PostImage"), (2, "Both")]),
            lookup("sdkmessageprocessingstepid", "SDK Message Processing Step", &["sdkmessageprocessingstep"])
                .required(Required::System),
        ],
    );
    let job = table(
        names("asyncoperation", "AsyncOperation", "asyncoperations", "System Job", "name", "asyncoperationid"),
        4700,
        Ownership::UserOwned,
        [
            text("name", "System Job Name", 256),
            text("messagename", "Message Name", 160),
            memo("message", "Message", 100_000),
            choice("operationtype", "System Job Type", &[(1, "System Event"), (10, "Workflow"), (13, "Bulk Delete")]),
            integer("errorcode", "Error Code", i32::MIN, i32::MAX),
            integer("retrycount", "Retry Count", 0, i32::MAX),
            datetime("startedon", "Started On"),
            datetime("completedon", "Completed On"),
            lookup("owningextensionid", "Owning Extension", &["sdkmessageprocessingstep", "serviceendpoint"]),
        ]
        .into_iter()
        .chain(states(
            &[(0, "Ready"), (1, "Suspended"), (2, "Locked"), (3, "Completed")],
            &[
                (0, "Waiting For Resources", 0),
                (10, "Waiting", 1),
                (20, "In Progress", 2),
                (21, "Pausing", 2),
                (22, "Canceling", 2),
                (30, "Succeeded", 3),
                (31, "Failed", 3),
                (32, "Canceled", 3),
            ],
        ))
        .collect(),
    );
    vec![serviceendpoint, sdkmessage, sdkmessagefilter, step, plugintype, image, job]
}
