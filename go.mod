module github.com/danube-messaging/danube-connect-go

go 1.26.0

require (
	github.com/BurntSushi/toml v1.6.0
	golang.org/x/mod v0.42.0
)

replace github.com/danube-messaging/danube-connect-go/runtime => ./runtime
