"""A sample API in Django REST framework, as its guide writes one: customers by their codes, orders with lines.

service.py PORT FILE: listens on loopback, and keeps everything in a new SQLite file.
"""

import sys

import django
from django.apps import AppConfig
from django.conf import settings

port, file = int(sys.argv[1]), sys.argv[2]
settings.configure(
    DEBUG=False,
    SECRET_KEY="sample",
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    ROOT_URLCONF="service",
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "rest_framework", "service.Sample"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": file, "OPTIONS": {"timeout": 20}}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    USE_TZ=True,
    REST_FRAMEWORK={
        "DEFAULT_PERMISSION_CLASSES": [],
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "UNAUTHENTICATED_USER": None,
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    },
)
sys.modules["service"] = sys.modules["__main__"]


class Sample(AppConfig):
    name, label = "service", "sample"


django.setup()

from django.db import connection, models  # noqa: E402
from django.urls import include, path  # noqa: E402
from rest_framework import pagination, permissions, routers, serializers, throttling, viewsets  # noqa: E402
from rest_framework.decorators import api_view  # noqa: E402
from rest_framework.exceptions import NotAuthenticated  # noqa: E402
from rest_framework.response import Response  # noqa: E402

_seen = {"writes": 0, "reads": 0, "throttled": 0}


class Token(permissions.BasePermission):
    def has_permission(self, request, view):
        if request.headers.get("Authorization") != "Token sample":
            raise NotAuthenticated()
        return True


class Customer(models.Model):
    code = models.CharField(max_length=20, unique=True)
    name = models.CharField(max_length=100)
    credit = models.DecimalField(max_digits=15, decimal_places=2)
    since = models.DateField(null=True)
    seen = models.DateTimeField(null=True)
    active = models.BooleanField(default=False)
    visits = models.BigIntegerField(default=0)
    note = models.TextField(null=True, blank=True)
    changed = models.DateTimeField(auto_now=True)

    class Meta:
        app_label = "sample"
        ordering = ["id"]


class Order(models.Model):
    number = models.CharField(max_length=20, unique=True)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, to_field="code")
    total = models.DecimalField(max_digits=15, decimal_places=2)

    class Meta:
        app_label = "sample"
        ordering = ["id"]


class Line(models.Model):
    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")
    product = models.CharField(max_length=20)
    quantity = models.PositiveIntegerField()

    class Meta:
        app_label = "sample"
        ordering = ["id"]


class Customers(serializers.ModelSerializer):
    class Meta:
        model = Customer
        fields = ["id", "code", "name", "credit", "since", "seen", "active", "visits", "note", "changed"]


class Lines(serializers.ModelSerializer):
    class Meta:
        model = Line
        fields = ["product", "quantity"]


class Orders(serializers.ModelSerializer):
    lines = Lines(many=True)
    customer = serializers.SlugRelatedField(slug_field="code", queryset=Customer.objects.all())

    class Meta:
        model = Order
        fields = ["id", "number", "customer", "total", "lines"]

    def create(self, data):
        lines = data.pop("lines")
        order = Order.objects.create(**data)
        Line.objects.bulk_create(Line(order=order, **line) for line in lines)
        return order

    def update(self, order, data):
        lines = data.pop("lines", None)
        super().update(order, data)
        if lines is not None:
            order.lines.all().delete()
            Line.objects.bulk_create(Line(order=order, **line) for line in lines)
        return order


class ByNumber(pagination.PageNumberPagination):
    """No page is longer than 40, whatever is asked for."""

    page_size, max_page_size, page_size_query_param = 20, 40, "page_size"


class ByOffset(pagination.LimitOffsetPagination):
    default_limit, max_limit = 20, 40


class ByCursor(pagination.CursorPagination):
    page_size, ordering = 25, "id"


class Narrow(throttling.SimpleRateThrottle):
    """Eight requests in two seconds."""

    rate = "sample"

    def get_cache_key(self, request, view):
        return "all"

    def allow_request(self, request, view):
        allowed = super().allow_request(request, view)
        _seen["throttled"] += not allowed
        return allowed

    def parse_rate(self, rate):
        return 8, 2


class CustomerView(viewsets.ModelViewSet):
    serializer_class, lookup_field, lookup_value_regex = Customers, "code", ".+"
    pagination_class, permission_classes = ByNumber, [Token]

    def get_queryset(self):
        asked, found = self.request.query_params, Customer.objects.all()
        if "code" in asked:
            found = found.filter(code__in=asked["code"].split(","))
        if "changed_after" in asked:
            found = found.filter(changed__gt=asked["changed_after"])
        return found

    def dispatch(self, request, *args, **kwargs):
        _seen["reads" if request.method == "GET" else "writes"] += 1
        return super().dispatch(request, *args, **kwargs)


class OffsetView(CustomerView):
    pagination_class = ByOffset


class CursorView(CustomerView):
    pagination_class = ByCursor


class NarrowView(CustomerView):
    throttle_classes = [Narrow]


class OrderView(viewsets.ModelViewSet):
    serializer_class, pagination_class, permission_classes = Orders, ByNumber, [Token]

    def get_queryset(self):
        asked = self.request.query_params
        return Order.objects.filter(number=asked["number"]) if "number" in asked else Order.objects.all()


@api_view(["POST"])
def seen(request):
    told = dict(_seen)
    _seen.update(dict.fromkeys(_seen, 0))
    return Response(told)


router = routers.DefaultRouter()
for name, view in [("customers", CustomerView), ("by-offset", OffsetView), ("by-cursor", CursorView), ("narrow", NarrowView), ("orders", OrderView)]:
    router.register(name, view, basename=name)
urlpatterns = [path("seen", seen), path("", include(router.urls))]

if __name__ == "__main__":
    with connection.schema_editor() as editor:
        for model in (Customer, Order, Line):
            editor.create_model(model)
    from django.core.handlers.wsgi import WSGIHandler
    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler

    class Quiet(WSGIRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadedWSGIServer(("127.0.0.1", port), Quiet)
    server.daemon_threads = True
    server.set_app(WSGIHandler())
    print("listening", flush=True)
    server.serve_forever()
