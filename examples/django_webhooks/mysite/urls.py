"""Where the views are."""

from django.urls import path
from replies import views

from safetwilio.integrations.django import health

urlpatterns = [
    path("sms", views.reply),
    path("delivered", views.delivered),
    path("health", health),
]
