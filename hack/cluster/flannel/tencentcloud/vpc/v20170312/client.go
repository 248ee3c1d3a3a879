// Package v20170312 stands in for the client of a cloud's route tables: every call says that it is not built in.
package v20170312

import "github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common/errors"

var errNotBuiltIn = &errors.TencentCloudSDKError{
	Message: "expected a flanneld with the tencent-vpc backend, found one built without its SDK; use a released flanneld",
}

// Client answers every call with an error.
type Client struct{}

// Filter selects route tables.
type Filter struct {
	Name   *string
	Values []*string
}

// Route is one entry of a route table.
type Route struct {
	RouteId              *uint64
	DestinationCidrBlock *string
	GatewayType          *string
	GatewayId            *string
	RouteType            *string
	Enabled              *bool
}

// RouteTable is a table and its routes.
type RouteTable struct {
	RouteTableId *string
	RouteSet     []*Route
}

// DescribeRouteTablesRequest asks for tables.
type DescribeRouteTablesRequest struct{ Filters []*Filter }

// DescribeRouteTablesResponse is never sent.
type DescribeRouteTablesResponse struct {
	Response struct{ RouteTableSet []*RouteTable }
}

// CreateRoutesRequest asks for new routes.
type CreateRoutesRequest struct {
	RouteTableId *string
	Routes       []*Route
}

// CreateRoutesResponse is never sent.
type CreateRoutesResponse struct{}

// DeleteRoutesRequest asks to remove routes.
type DeleteRoutesRequest struct {
	RouteTableId *string
	Routes       []*Route
}

// DeleteRoutesResponse is never sent.
type DeleteRoutesResponse struct{}

// NewClientWithSecretId returns a client; the credentials are not looked at.
func NewClientWithSecretId(_, _, _ string) (*Client, error) { return &Client{}, nil }

// NewDescribeRouteTablesRequest returns an empty request.
func NewDescribeRouteTablesRequest() *DescribeRouteTablesRequest {
	return &DescribeRouteTablesRequest{}
}

// NewCreateRoutesRequest returns an empty request.
func NewCreateRoutesRequest() *CreateRoutesRequest { return &CreateRoutesRequest{} }

// NewDeleteRoutesRequest returns an empty request.
func NewDeleteRoutesRequest() *DeleteRoutesRequest { return &DeleteRoutesRequest{} }

// DescribeRouteTables always fails.
func (*Client) DescribeRouteTables(*DescribeRouteTablesRequest) (*DescribeRouteTablesResponse, error) {
	return nil, errNotBuiltIn
}

// CreateRoutes always fails.
func (*Client) CreateRoutes(*CreateRoutesRequest) (*CreateRoutesResponse, error) {
	return nil, errNotBuiltIn
}

// DeleteRoutes always fails.
func (*Client) DeleteRoutes(*DeleteRoutesRequest) (*DeleteRoutesResponse, error) {
	return nil, errNotBuiltIn
}
