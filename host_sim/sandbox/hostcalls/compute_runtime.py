"""Facts about the sandbox and its surroundings. Host contract §2.10."""

from host_sim.sandbox.hostcalls import interface
from host_sim.sandbox.state import Sandbox
from host_sim.sandbox.surroundings import CUSTOMER_ID, HOSTNAME, POP, REGION, SERVICE_ID

__all__ = [
    "Products",
    "get_customer_id",
    "get_heap_mib",
    "get_hostname",
    "get_is_staging",
    "get_namespace_id",
    "get_pop",
    "get_region",
    "get_sandbox_id",
    "get_service_id",
    "get_vcpu_ms",
    "has_product",
    "products",
    "zero",
]

hostcall = interface("compute-runtime")


@hostcall("get-vcpu-ms")
def get_vcpu_ms(sandbox: Sandbox) -> int:
    """Return the CPU time of this sandbox in milliseconds."""
    return int(sandbox.waiting.cpu_s * 1000)


@hostcall("get-heap-mib")
def get_heap_mib(_sandbox: Sandbox) -> int:
    """Return 0: wasmtime's interface for Python does not say how large a guest's memory is."""
    return 0


@hostcall("get-sandbox-id")
def get_sandbox_id(sandbox: Sandbox) -> str:
    """Return the number of the sandbox's first request as 32 hexadecimal digits."""
    return sandbox.id


@hostcall("get-hostname")
def get_hostname(_sandbox: Sandbox) -> str:
    """Return the name of the machine at the edge."""
    return HOSTNAME


@hostcall("get-pop")
def get_pop(_sandbox: Sandbox) -> str:
    """Return the name of the point of presence."""
    return POP


@hostcall("get-region")
def get_region(_sandbox: Sandbox) -> str:
    """Return the name of the region."""
    return REGION


@hostcall("get-cache-generation")
@hostcall("get-service-version")
def zero(_sandbox: Sandbox) -> int:
    """Return 0: a service that was never deployed."""
    return 0


@hostcall("get-customer-id")
def get_customer_id(_sandbox: Sandbox) -> str:
    """Return the id of the customer."""
    return CUSTOMER_ID


@hostcall("get-service-id")
def get_service_id(_sandbox: Sandbox) -> str:
    """Return the id of the service."""
    return SERVICE_ID


@hostcall("get-is-staging")
def get_is_staging(_sandbox: Sandbox) -> bool:
    """Tell that this is not the staging environment."""
    return False


@hostcall("get-namespace-id")
def get_namespace_id(_sandbox: Sandbox) -> str:
    """Return nothing."""
    return ""


class Products:
    """The products enabled for the service, as a handle: none of those one can ask for."""


@hostcall("[static]products.new")
def products(_sandbox: Sandbox) -> Products:
    """Return the products enabled for the service."""
    return Products()


@hostcall("[method]products.has-domain-inspector")
@hostcall("[method]products.has-image-optimizer")
@hostcall("[method]products.has-origin-inspector")
def has_product(_sandbox: Sandbox, _products: Products) -> bool:
    """Tell that the service does not have it."""
    return False
