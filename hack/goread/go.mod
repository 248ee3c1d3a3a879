module nodegate.dev/hack/goread

go 1.22
