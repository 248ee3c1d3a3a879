// Package errors holds the one error type that flannel looks for.
package errors

// TencentCloudSDKError is what a call of the stand-in returns.
type TencentCloudSDKError struct{ Message string }

// Error returns the message.
func (e *TencentCloudSDKError) Error() string { return e.Message }
