//! The tables that every emulated environment has, and the rows without which nothing can be created.

use uuid::Uuid;

use super::columns::{
    TableNames, active_inactive, boolean, choice, column, currency_columns, customer, date, datetime, decimal,
    formatted_text, integer, lookup, memo, money, money_between, relationships, states, table, text,
};
use super::model::{AlternateKey, KeyStatus, Kind, OnDelete, OneToMany, Ownership, Required, Table};

pub const ORGANIZATION: Uuid = Uuid::from_u128(0x0e11_0000_0000_4000_8000_0000_0000_0001);
pub const BUSINESS_UNIT: Uuid = Uuid::from_u128(0x0e11_0000_0000_4000_8000_0000_0000_0002);
pub const APPLICATION_USER: Uuid = Uuid::from_u128(0x0e11_0000_0000_4000_8000_0000_0000_0003);
pub const SALES_TEAM: Uuid = Uuid::from_u128(0x0e11_0000_0000_4000_8000_0000_0000_0004);
pub const BASE_CURRENCY: Uuid = Uuid::from_u128(0x0e11_0000_0000_4000_8000_0000_0000_0005);

/// Tables and the relationships between them.
pub fn schema() -> (Vec<Table>, Vec<OneToMany>) {
    let mut tables = platform_tables();
    tables.extend(sales_tables());
    tables.extend(event_tables());
    let mut relations: Vec<OneToMany> = tables.iter().flat_map(relationships).collect();
    for (many, lookup, target, schema_name, nav_one) in [
        ("contact", "parentcustomerid", "account", "contact_customer_accounts", "contact_customer_accounts"),
        ("contact", "parentcustomerid", "contact", "contact_customer_contacts", "contact_customer_contacts"),
        ("account", "primarycontactid", "contact", "account_primary_contact", "account_primary_contact"),
        ("account", "parentaccountid", "account", "account_parent_account", "Referencedaccount_parent_account"),
        ("salesorder", "customerid", "account", "order_customer_accounts", "order_customer_accounts"),
        ("salesorder", "customerid", "contact", "order_customer_contacts", "order_customer_contacts"),
        ("salesorderdetail", "salesorderid", "salesorder", "order_details", "order_details"),
        ("productpricelevel", "productid", "product", "product_price_levels", "product_price_levels"),
        (
            "productpricelevel",
            "pricelevelid",
            "pricelevel",
            "price_level_product_price_levels",
            "price_level_product_price_levels",
        ),
    ] {
        for relation in &mut relations {
            if relation.many == many && relation.column == lookup && relation.one == target {
                relation.schema_name = schema_name.into();
                relation.nav_one = nav_one.into();
                // Lines and list prices live and die with what they belong to.
                if many == "salesorderdetail" || many == "productpricelevel" {
                    relation.on_delete = OnDelete::Cascade;
                }
            }
        }
    }
    // The step's handler is polymorphic, under the platform's own names.
    for relation in &mut relations {
        if relation.many == "sdkmessageprocessingstep" && relation.column == "eventhandler" {
            relation.nav_many = format!("eventhandler_{}", relation.one);
        }
    }
    (tables, relations)
}

/// An active key over `columns`, already indexed.
pub fn key(name: &str, label: &str, columns: &[&str]) -> AlternateKey {
    AlternateKey {
        id: Uuid::new_v4(),
        name: name.to_lowercase(),
        schema_name: name.into(),
        label: label.into(),
        columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        status: KeyStatus::Active,
    }
}

fn names<'a>(
    name: &'a str,
    schema: &'a str,
    set: &'a str,
    label: &'a str,
    primary_name: &'a str,
    id: &'a str,
) -> TableNames<'a> {
    TableNames { name, schema_name: schema, set, label, plural: label, primary_id: id, primary_name }
}

fn address(number: u8) -> Vec<super::model::Column> {
    let name = |part: &str| format!("address{number}_{part}");
    let label = |part: &str| format!("Address {number}: {part}");
    vec![
        column(&name("addressid"), &label("ID"), Kind::Uniqueidentifier),
        text(&name("name"), &label("Name"), 200),
        text(&name("line1"), &label("Street 1"), 250),
        text(&name("line2"), &label("Street 2"), 250),
        text(&name("line3"), &label("Street 3"), 250),
        text(&name("city"), &label("City"), 80),
        text(&name("stateorprovince"), &label("State/Province"), 50),
        text(&name("postalcode"), &label("ZIP/Postal Code"), 20),
        text(&name("country"), &label("Country/Region"), 80),
        memo(&name("composite"), &label("Composite"), 1000).read_only(),
    ]
}

const PAYMENT_TERMS: [(i32, &str); 5] =
    [(1, "Net 30"), (2, "2% 10, Net 30"), (3, "Net 45"), (4, "Net 60"), (10, "Prepaid")];

fn platform_tables() -> Vec<Table> {
    let mut organization = table(
        names("organization", "Organization", "organizations", "Organization", "name", "organizationid"),
        1019,
        Ownership::None,
        vec![
            text("name", "Organization Name", 160),
            integer("expirechangetrackingindays", "Days to Expire Change Tracking Deltas", 0, 365),
            integer("languagecode", "Language", 0, i32::MAX),
            lookup("basecurrencyid", "Currency", &["transactioncurrency"]),
            boolean("isauditenabled", "Is Auditing Enabled"),
        ],
    );
    organization.change_tracking = false;
    let businessunit = table(
        names("businessunit", "BusinessUnit", "businessunits", "Business Unit", "name", "businessunitid"),
        10,
        Ownership::None,
        vec![text("name", "Name", 160), lookup("parentbusinessunitid", "Parent Business", &["businessunit"])],
    );
    let systemuser = table(
        names("systemuser", "SystemUser", "systemusers", "User", "fullname", "systemuserid"),
        8,
        Ownership::OrganizationOwned,
        vec![
            text("fullname", "Full Name", 200).read_only(),
            text("firstname", "First Name", 256),
            text("lastname", "Last Name", 256),
            text("domainname", "User Name", 1024),
            formatted_text("internalemailaddress", "Primary Email", 100, "Email"),
            column("applicationid", "Application ID", Kind::Uniqueidentifier),
            column("azureactivedirectoryobjectid", "Azure AD Object ID", Kind::Uniqueidentifier),
            boolean("isdisabled", "Status"),
            lookup("businessunitid", "Business Unit", &["businessunit"]),
        ],
    );
    let team = table(
        names("team", "Team", "teams", "Team", "name", "teamid"),
        9,
        Ownership::OrganizationOwned,
        vec![
            text("name", "Team Name", 160).required(Required::Application),
            memo("description", "Description", 2000),
            choice("teamtype", "Team Type", &[(0, "Owner"), (1, "Access"), (2, "Security Group"), (3, "Office Group")]),
            lookup("businessunitid", "Business Unit", &["businessunit"]),
            lookup("administratorid", "Administrator", &["systemuser"]),
        ],
    );
    let mut currency = table(
        names(
            "transactioncurrency",
            "TransactionCurrency",
            "transactioncurrencies",
            "Currency",
            "currencyname",
            "transactioncurrencyid",
        ),
        9105,
        Ownership::OrganizationOwned,
        [
            text("currencyname", "Currency Name", 100).required(Required::System),
            text("isocurrencycode", "Currency Code", 5).required(Required::System),
            text("currencysymbol", "Currency Symbol", 13),
            integer("currencyprecision", "Currency Precision", 0, 4),
            decimal("exchangerate", "Exchange Rate", 10),
        ]
        .into_iter()
        .chain(active_inactive())
        .collect(),
    );
    currency.change_tracking = true;

    let mut account = table(
        names("account", "Account", "accounts", "Account", "name", "accountid"),
        1,
        Ownership::UserOwned,
        [
            text("name", "Account Name", 160).required(Required::Application),
            text("accountnumber", "Account Number", 20),
            formatted_text("emailaddress1", "Email", 100, "Email"),
            formatted_text("emailaddress2", "Email Address 2", 100, "Email"),
            formatted_text("telephone1", "Main Phone", 50, "Phone"),
            formatted_text("telephone2", "Other Phone", 50, "Phone"),
            text("fax", "Fax", 50),
            formatted_text("websiteurl", "Website", 200, "Url"),
            memo("description", "Description", 2000),
            money_between("creditlimit", "Credit Limit", 2, "0", "100000000000"),
            boolean("creditonhold", "Credit Hold"),
            money_between("revenue", "Annual Revenue", 2, "0", "100000000000"),
            integer("numberofemployees", "Number of Employees", 0, 1_000_000_000),
            choice("paymenttermscode", "Payment Terms", &PAYMENT_TERMS),
            choice("accountcategorycode", "Category", &[(1, "Preferred Customer"), (2, "Standard")]),
            choice(
                "customertypecode",
                "Relationship Type",
                &[
                    (1, "Competitor"),
                    (2, "Consultant"),
                    (3, "Customer"),
                    (8, "Prospect"),
                    (10, "Supplier"),
                    (12, "Other"),
                ],
            ),
            choice(
                "industrycode",
                "Industry",
                &[(1, "Accounting"), (6, "Business Services"), (8, "Consumer Services"), (33, "Wholesale")],
            ),
            choice(
                "preferredcontactmethodcode",
                "Preferred Method of Contact",
                &[(1, "Any"), (2, "Email"), (3, "Phone"), (4, "Fax"), (5, "Mail")],
            ),
            boolean("donotemail", "Do not allow Emails"),
            lookup("parentaccountid", "Parent Account", &["account"]),
            lookup("primarycontactid", "Primary Contact", &["contact"]),
            datetime("lastusedincampaign", "Last Date Included in Campaign"),
        ]
        .into_iter()
        .chain(address(1))
        .chain(currency_columns())
        .chain(active_inactive())
        .collect(),
    );
    account.plural = "Accounts".into();
    account.change_tracking = true;
    account.keys.push(key("accountnumber_key", "Account Number", &["accountnumber"]));

    let mut contact = table(
        names("contact", "Contact", "contacts", "Contact", "fullname", "contactid"),
        2,
        Ownership::UserOwned,
        [
            text("fullname", "Full Name", 160).read_only(),
            text("firstname", "First Name", 50).required(Required::Recommended),
            text("lastname", "Last Name", 50).required(Required::Application),
            text("jobtitle", "Job Title", 100),
            formatted_text("emailaddress1", "Email", 100, "Email"),
            formatted_text("emailaddress2", "Email Address 2", 100, "Email"),
            formatted_text("telephone1", "Business Phone", 50, "Phone"),
            formatted_text("mobilephone", "Mobile Phone", 50, "Phone"),
            memo("description", "Description", 2000),
            date("birthdate", "Birthday"),
            boolean("donotemail", "Do not allow Emails"),
            money_between("creditlimit", "Credit Limit", 2, "0", "100000000000"),
            customer("parentcustomerid", "Company Name"),
            text("new_Number", "Number", 24).custom(),
        ]
        .into_iter()
        .chain(address(1))
        .chain(currency_columns())
        .chain(active_inactive())
        .collect(),
    );
    contact.plural = "Contacts".into();
    contact.change_tracking = true;
    contact.keys.push(key("new_number_key", "Number", &["new_number"]));

    vec![organization, businessunit, systemuser, team, currency, account, contact]
}

fn sales_tables() -> Vec<Table> {
    let mut product = table(
        names("product", "Product", "products", "Product", "name", "productid"),
        1024,
        Ownership::OrganizationOwned,
        [
            text("name", "Name", 100).required(Required::System),
            text("productnumber", "Product ID", 100).required(Required::Application),
            memo("description", "Description", 2000),
            money("price", "List Price", 4),
            integer("quantitydecimal", "Decimals Supported", 0, 5),
            lookup("defaultuomid", "Default Unit", &["uom"]),
            lookup("pricelevelid", "Default Price List", &["pricelevel"]),
        ]
        .into_iter()
        .chain(currency_columns())
        .chain(states(
            &[(0, "Active"), (1, "Retired"), (2, "Draft")],
            &[(1, "Active", 0), (2, "Retired", 1), (0, "Draft", 2)],
        ))
        .collect(),
    );
    product.change_tracking = true;
    product.keys.push(key("productnumber_key", "Product ID", &["productnumber"]));

    let mut pricelevel = table(
        names("pricelevel", "PriceLevel", "pricelevels", "Price List", "name", "pricelevelid"),
        1022,
        Ownership::OrganizationOwned,
        [
            text("name", "Name", 100).required(Required::Application),
            memo("description", "Description", 2000),
            date("begindate", "Start Date"),
            date("enddate", "End Date"),
        ]
        .into_iter()
        .chain(currency_columns())
        .chain(states(&[(0, "Active"), (1, "Inactive")], &[(100_001, "Active", 0), (100_002, "Inactive", 1)]))
        .collect(),
    );
    pricelevel.change_tracking = true;

    let uom = table(
        names("uom", "UoM", "uoms", "Unit", "name", "uomid"),
        1055,
        Ownership::OrganizationOwned,
        vec![
            text("name", "Name", 100).required(Required::System),
            decimal("quantity", "Quantity", 10),
            lookup("baseuom", "Base Unit", &["uom"]),
        ],
    );

    let mut productpricelevel = table(
        names(
            "productpricelevel",
            "ProductPriceLevel",
            "productpricelevels",
            "Price List Item",
            "productidname",
            "productpricelevelid",
        ),
        1026,
        Ownership::OrganizationOwned,
        [
            text("productidname", "Product Name", 100).read_only(),
            money("amount", "Amount", 4),
            decimal("percentage", "Percentage", 2),
            choice("pricingmethodcode", "Pricing Method", &[(1, "Currency Amount"), (2, "Percent of List")]),
            choice(
                "quantitysellingcode",
                "Quantity Selling Option",
                &[(1, "No Control"), (2, "Whole"), (3, "Whole and Fractional")],
            ),
            lookup("productid", "Product", &["product"]).required(Required::Application),
            lookup("pricelevelid", "Price List", &["pricelevel"]).required(Required::Application),
            lookup("uomid", "Unit", &["uom"]).required(Required::Application),
        ]
        .into_iter()
        .chain(currency_columns())
        .collect(),
    );
    productpricelevel.change_tracking = true;
    productpricelevel.keys.push(key(
        "productpricelevel_key",
        "Product, list, unit",
        &["productid", "pricelevelid", "uomid"],
    ));

    let mut salesorder = table(
        names("salesorder", "SalesOrder", "salesorders", "Order", "name", "salesorderid"),
        1088,
        Ownership::UserOwned,
        [
            text("name", "Name", 300).required(Required::Application),
            text("ordernumber", "Order ID", 100),
            memo("description", "Description", 2000),
            customer("customerid", "Customer"),
            lookup("pricelevelid", "Price List", &["pricelevel"]),
            money("totalamount", "Total Amount", 2),
            money("totallineitemamount", "Total Detail Amount", 2),
            money("freightamount", "Freight Amount", 2),
            date("requestdeliveryby", "Requested Delivery Date"),
            datetime("submitdate", "Date Submitted"),
            datetime("datefulfilled", "Date Fulfilled"),
            text("new_ErpNumber", "ERP Number", 30).custom(),
        ]
        .into_iter()
        .chain(currency_columns())
        .chain(states(
            &[(0, "Active"), (1, "Submitted"), (2, "Canceled"), (3, "Fulfilled"), (4, "Invoiced")],
            &[
                (1, "New", 0),
                (2, "Pending", 0),
                (3, "In Progress", 1),
                (4, "No Money", 2),
                (100_001, "Complete", 3),
                (100_002, "Partial", 3),
                (100_003, "Invoiced", 4),
            ],
        ))
        .collect(),
    );
    salesorder.change_tracking = true;
    salesorder.keys.push(key("ordernumber_key", "Order ID", &["ordernumber"]));

    let mut salesorderdetail = table(
        names(
            "salesorderdetail",
            "SalesOrderDetail",
            "salesorderdetails",
            "Order Product",
            "productdescription",
            "salesorderdetailid",
        ),
        1089,
        Ownership::OrganizationOwned,
        [
            text("productdescription", "Write-In Product", 500),
            integer("lineitemnumber", "Line Item Number", 0, 1_000_000_000),
            decimal("quantity", "Quantity", 5),
            money("priceperunit", "Price Per Unit", 4),
            money("extendedamount", "Extended Amount", 2),
            lookup("salesorderid", "Order", &["salesorder"]).required(Required::System),
            lookup("productid", "Existing Product", &["product"]),
            lookup("uomid", "Unit", &["uom"]),
        ]
        .into_iter()
        .chain(currency_columns())
        .collect(),
    );
    salesorderdetail.change_tracking = true;
    vec![product, pricelevel, uom, productpricelevel, salesorder, salesorderdetail]
}

/// The tables through which webhooks are registered.
fn event_tables() -> Vec<Table> {
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

/// One row to begin with: table, id, and its columns as JSON text.
pub struct Seed {
    pub table: &'static str,
    pub id: Uuid,
    pub columns: Vec<(&'static str, String)>,
}

/// The rows that an environment starts with, in an order in which each lookup finds its target.
pub fn rows() -> Vec<Seed> {
    let quoted = |text: &str| format!("\"{text}\"");
    let row = |table, id, columns| Seed { table, id, columns };
    let mut rows = vec![
        row("businessunit", BUSINESS_UNIT, vec![("name", quoted("Contoso"))]),
        row(
            "systemuser",
            APPLICATION_USER,
            vec![
                ("firstname", quoted("#")),
                ("lastname", quoted("Integration (sample)")),
                ("fullname", quoted("# Integration (sample)")),
                ("domainname", quoted("integration@contoso.example")),
                ("internalemailaddress", quoted("integration@contoso.example")),
                ("applicationid", quoted("0e110000-0000-4000-8000-00000000000a")),
                ("isdisabled", "false".into()),
                ("businessunitid", quoted(&BUSINESS_UNIT.to_string())),
            ],
        ),
        row(
            "team",
            SALES_TEAM,
            vec![
                ("name", quoted("Sales UK")),
                ("teamtype", "0".into()),
                ("businessunitid", quoted(&BUSINESS_UNIT.to_string())),
            ],
        ),
    ];
    for (offset, code, name, symbol) in [
        (0_u128, "GBP", "Pound Sterling", "\u{a3}"),
        (0x100, "EUR", "Euro", "\u{20ac}"),
        (0x200, "USD", "US Dollar", "$"),
    ] {
        let id = Uuid::from_u128(BASE_CURRENCY.as_u128() + offset);
        let columns = vec![
            ("currencyname", quoted(name)),
            ("isocurrencycode", quoted(code)),
            ("currencysymbol", quoted(symbol)),
            ("currencyprecision", "2".into()),
            ("exchangerate", "1".into()),
        ];
        rows.push(row("transactioncurrency", id, columns));
    }
    rows.push(row(
        "organization",
        ORGANIZATION,
        vec![
            ("name", quoted("contoso")),
            ("expirechangetrackingindays", "7".into()),
            ("languagecode", "1033".into()),
            ("basecurrencyid", quoted(&BASE_CURRENCY.to_string())),
            ("isauditenabled", "false".into()),
        ],
    ));
    for (offset, name) in [(0_u128, "Primary Unit"), (1, "EA"), (2, "KG"), (3, "BOX")] {
        let id = Uuid::from_u128(ORGANIZATION.as_u128() + 0x1000 + offset);
        rows.push(row("uom", id, vec![("name", quoted(name)), ("quantity", "1".into())]));
    }
    rows
}

/// The messages that steps can be registered for; filters exist for each of them and each table.
pub const MESSAGES: [&str; 8] =
    ["Create", "Update", "Delete", "Assign", "SetState", "CreateMultiple", "UpdateMultiple", "UpsertMultiple"];
