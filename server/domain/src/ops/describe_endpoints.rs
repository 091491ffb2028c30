//! DescribeEndpoints: where to send requests. SDKs that discover endpoints go on using the address they came by.

/// How long a client may remember an endpoint.
const CACHE_PERIOD_MINUTES: i64 = 1440;

/// DescribeEndpoints is asked nothing; the front end says which address the client used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeEndpointsInput {
    /// Host (and port) that the client used, such as its `Host` header. Without one, the default local address.
    pub host: Option<String>,
}

/// DescribeEndpoints, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeEndpoints {
    /// See [`DescribeEndpointsInput::host`].
    pub host: String,
}

/// One element of `Endpoints`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `Address`.
    pub address: String,
    /// `CachePeriodInMinutes`.
    pub cache_period_in_minutes: i64,
}

/// What DescribeEndpoints answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeEndpointsOutput {
    /// `Endpoints`.
    pub endpoints: Vec<Endpoint>,
}

impl DescribeEndpoints {
    /// Never fails.
    pub fn parse(input: DescribeEndpointsInput) -> Self {
        Self { host: input.host.unwrap_or_else(|| "localhost:8000".to_owned()) }
    }

    /// The one endpoint.
    pub fn answer(&self) -> DescribeEndpointsOutput {
        let endpoint = Endpoint { address: self.host.clone(), cache_period_in_minutes: CACHE_PERIOD_MINUTES };
        DescribeEndpointsOutput { endpoints: vec![endpoint] }
    }
}
