//! Products, prices and orders.

use crate::dataverse::columns::{
    choice, currency_columns, customer, date, datetime, decimal, integer, lookup, memo, money, states, table, text,
};
use crate::dataverse::model::{Ownership, Required, Table};

use super::{key, names};

pub fn tables() -> Vec<Table> {
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
