"""No views: nothing imports the client."""

urlpatterns: list[object] = []
