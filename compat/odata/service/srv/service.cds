using { sample } from '../db/schema';

@path: '/sales' @requires: 'authenticated-user'
service Sales {
  @cds.query.limit: { default: 100, max: 100 }
  entity Customers as projection on sample.Customers;
  @odata.draft.enabled: false
  entity Orders as projection on sample.Orders;
}
annotate Sales.Customers with { modifiedAt @odata.etag };
