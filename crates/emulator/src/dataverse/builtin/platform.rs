//! The tables that belong to the platform, with accounts and contacts.

use crate::dataverse::columns::{
    active_inactive, boolean, choice, column, currency_columns, customer, date, datetime, decimal, formatted_text,
    integer, lookup, memo, money_between, table, text,
};
use crate::dataverse::model::{Column, Kind, Ownership, Required, Table};

use super::{key, names};

fn address(number: u8) -> Vec<Column> {
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

pub fn tables() -> Vec<Table> {
    let mut organization = table(
        names("organization", "Organization", "organizations", "Organization", "name", "organizationid"),
        1019,
        Ownership::None,
        vec![
            text("name", "Organization Name", 160),
            integer("expirechangetrackingindays", "Days to Expire Change Tracking Deltas", 0, 365),
            integer("languagecode", "Language", 0, i32::MAX),
            lookup("basecurrencyid", "Currency", &["transactioncurrency"]),
            integer("pricingdecimalprecision", "Pricing Decimal Precision", 0, 4),
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
